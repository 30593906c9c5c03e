//! The console: a page that is part of the program. Everything it shows comes from the API, with the
//! session of who signed in; the files themselves hold nothing, and are served to everybody.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use sha2::{Digest as _, Sha256};

/// Where the console is.
pub const CONSOLE_PATH: &str = "/console";

/// The page's scripts, styles and requests are this server's own; it is shown in nobody's frame.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Files change with the program, so every request asks whether they did.
const CACHE: &str = "no-cache";

struct File {
    path: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(File {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/console/", $path)),
        }),*]
    };
}

const FILES: &[File] = files![
    "index.html",
    "console.css",
    "icon.svg",
    "js/api.js",
    "js/audio/capture.worklet.js",
    "js/audio/codec.js",
    "js/audio/devices.js",
    "js/audio/playback.worklet.js",
    "js/connection.js",
    "js/dom.js",
    "js/format.js",
    "js/leg.js",
    "js/main.js",
    "js/presence.js",
    "js/timeline.js",
    "js/views/agent.js",
    "js/views/call.js",
    "js/views/figures.js",
    "js/views/history.js",
    "js/views/leg-controls.js",
    "js/views/live-call.js",
    "js/views/live.js",
    "js/views/machines.js",
    "js/views/past-call.js",
    "js/views/people.js",
    "js/views/sign-in.js",
    "js/views/telling.js",
    "js/views/transcript.js",
    "js/views/transfer.js",
];

/// What the files are now, as in `ETag`.
static VERSION: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for file in FILES {
        digest.update(file.path);
        digest.update(file.bytes);
    }
    let version: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::try_from(format!("\"{version}\"")).expect("hexadecimal digits are ASCII")
});

/// The console's route.
pub(crate) fn router() -> Router {
    Router::new()
        // The page names its files relative to its own address.
        .route(CONSOLE_PATH, get(async || Redirect::permanent("/console/")))
        .route(
            "/console/",
            get(async |headers: HeaderMap| serve("index.html", &headers)),
        )
        .route(
            "/console/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| serve(&path, &headers)),
        )
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let known = headers.get(header::IF_NONE_MATCH) == Some(&*VERSION);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let media_type = HeaderValue::from_static(media_type(path));
        ([(header::CONTENT_TYPE, media_type)], file.bytes).into_response()
    };
    let more = response.headers_mut();
    more.insert(header::ETAG, VERSION.clone());
    for (name, value) in [
        (header::CACHE_CONTROL, CACHE),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::HeaderName::from_static("permissions-policy"),
            "microphone=(self)",
        ),
    ] {
        more.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path as FilePath};

    use super::*;

    fn paths_in(folder: &FilePath, below: &str, paths: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{below}{name}");
            if entry.file_type().unwrap().is_dir() {
                paths_in(&entry.path(), &format!("{path}/"), paths);
            } else {
                paths.push(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_served_as_what_it_is() {
        let mut paths = Vec::new();
        paths_in(
            &FilePath::new(env!("CARGO_MANIFEST_DIR")).join("console"),
            "",
            &mut paths,
        );
        paths.sort();
        let mut served: Vec<_> = FILES.iter().map(|file| file.path.to_owned()).collect();
        served.sort();
        assert_eq!(served, paths);
        for path in paths {
            let response = serve(&path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert_ne!(media_type, "application/octet-stream", "{path}");
        }
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let first = serve("js/main.js", &HeaderMap::new());
        let version = first.headers()[header::ETAG].clone();
        let again = serve(
            "js/main.js",
            &HeaderMap::from_iter([(header::IF_NONE_MATCH, version)]),
        );
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn nothing_but_the_page_is_served() {
        for path in [
            "",
            "../Cargo.toml",
            "js",
            "js/",
            "js/main.js.map",
            "INDEX.html",
        ] {
            let response = serve(path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_script_of_another_server_is_not_run() {
        let response = serve("index.html", &HeaderMap::new());
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
