use std::path::PathBuf;

use super::*;
use crate::store::RecordingFormat;

const ACCOUNT: &str = "AC00000000000000000000000000000001";

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidetone.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let (folder, path) = file(text);
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::from_layers(Some(&path), &variables).map_err(|error| {
        let folder = format!("{}/", folder.path().display());
        error.to_string().replace(&folder, "")
    })
}

/// What is wrong with `text`, where nothing else is.
fn mistake(text: &str) -> String {
    load(text, &[("SIDETONE_SERVER__INSECURE", "true")]).unwrap_err()
}

#[test]
fn the_whole_file_can_be_written() {
    let config = load(
        r#"
        [server]
        listen = "[::1]:9000"
        public_url = "https://voice.example.com:8443/phone"
        max_calls = 7
        drain_seconds = 3
        insecure = false
        [twilio]
        account_sid = "AC00000000000000000000000000000001"
        auth_token = "secret"
        api_key_sid = "SK00000000000000000000000000000002"
        api_key_secret = "hush"
        region = "ie1"
        edge = "frankfurt"
        request_timeout_ms = 4000
        [agent]
        greeting = "Hello."
        instructions = "Be brief."
        language = "es"
        [vad]
        provider = "webrtc"
        noise_suppression = "rnnoise"
        speech_threshold = 0.6
        silence_threshold = 0.4
        min_speech_ms = 90
        barge_in_ms = 130
        pre_roll_ms = 310
        [endpointing]
        silence_ms = 400
        max_turn_ms = 20000
        [playout]
        lead_ms = 1000
        chunk_ms = 100
        [stt]
        provider = "whisper"
        model = "base.en"
        threads = 3
        partial_interval_ms = 500
        [llm]
        provider = "openai"
        model = "llama3"
        base_url = "http://127.0.0.1:11434/v1"
        api_key = "none"
        [tts]
        provider = "command"
        voice = "es"
        command = ["espeak-ng", "--stdout"]
        [events]
        ndjson = "events.ndjson"
        [store]
        url = "postgres://sidetone:hush@db/calls"
        keep_days = 7
        [recording]
        enabled = true
        format = "opus"
        folder = "recordings"
        recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
        identity = "key.txt"
        keep_days = 3
        "#,
        &[],
    )
    .unwrap();
    assert_eq!(config.server.listen, "[::1]:9000".parse().unwrap());
    assert_eq!(config.server.max_calls, 7);
    assert_eq!(
        config.twilio.auth_token.as_ref().unwrap().expose(),
        "secret"
    );
    assert!(config.vad.noise_suppression.maker().is_some());
    assert_eq!(config.tts.command, ["espeak-ng", "--stdout"]);
    assert_eq!(config.recording.format, RecordingFormat::Opus);
    assert_eq!(config.store.keep_days + config.recording.keep_days, 10);
    let toml = config.effective_toml();
    assert!(
        toml.contains("url = \"postgres://sidetone:********@db/calls\""),
        "{toml}"
    );
    let call = config.call(Phrases::default());
    assert_eq!(call.vad.barge_in_ms, 130);
    assert_eq!(call.partials.interval_ms, 500);
    assert_eq!(call.playout.chunk_ms, 100);
    assert_eq!(call.agent.language, "es");
}

#[test]
fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
    let config = load(
        "[server]\nmax_calls = 7\ninsecure = true\n[agent]\ngreeting = \"Hi\"",
        &[
            ("SIDETONE_SERVER__MAX_CALLS", "8"),
            ("SIDETONE_SERVER__LISTEN", "0.0.0.0:80"),
            ("SIDETONE_VAD__SPEECH_THRESHOLD", "0.7"),
            ("SIDETONE_TTS__COMMAND", r#"["say", "{text}"]"#),
            ("SIDETONE_LOG", "debug"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.max_calls, 8);
    assert_eq!(config.server.listen, "0.0.0.0:80".parse().unwrap());
    assert_eq!(config.server.drain_seconds, 25);
    assert_eq!(config.agent.greeting, "Hi");
    assert!((config.vad.speech_threshold - 0.7).abs() < 1e-6);
    assert_eq!(config.tts.command, ["say", "{text}"]);
}

#[test]
fn a_variable_with_one_underscore_too_few_is_not_passed_over() {
    for (name, meant) in [
        ("SIDETONE_SERVER_INSECURE", "SIDETONE_SERVER__INSECURE"),
        ("SIDETONE_STT_BASE_URL", "SIDETONE_STT__BASE_URL"),
    ] {
        let error = load("[server]\ninsecure = true", &[(name, "true")]).unwrap_err();
        assert_eq!(
            error,
            format!("environment variable {name}: did you mean {meant}, with two underscores?")
        );
    }
    let others = [("SIDETONE_LOG", "debug"), ("SIDETONE_MODELS_DIR", "/tmp")];
    load("[server]\ninsecure = true", &others).unwrap();
}

#[test]
fn the_twilio_variables_are_texts_whatever_they_look_like() {
    let config = load(
        "[server]\npublic_url = \"https://voice.example.com\"",
        &[
            ("TWILIO_AUTH_TOKEN", "00123456"),
            ("TWILIO_ACCOUNT_SID", ACCOUNT),
            ("SIDETONE_TWILIO__REGION", "au1"),
            ("SIDETONE_AGENT__GREETING", "42"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.twilio.auth_token.as_ref().unwrap().expose(),
        "00123456"
    );
    assert_eq!(config.twilio.account_sid, ACCOUNT);
    assert_eq!(config.agent.greeting, "42");
}

#[test]
fn the_openai_key_goes_to_openai_providers_without_their_own() {
    let config = load(
        "[server]\ninsecure = true\n[llm]\nprovider = \"openai\"\n\
         [tts]\nprovider = \"openai\"\napi_key = \"own\"",
        &[("OPENAI_API_KEY", "sk-1")],
    )
    .unwrap();
    assert_eq!(config.llm.api_key.as_ref().unwrap().expose(), "sk-1");
    assert_eq!(config.tts.api_key.as_ref().unwrap().expose(), "own");
    assert!(config.stt.api_key.is_none());
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
    assert_eq!(
        mistake("[server]\n# where\nlisten = \"127.0.0.1:1\"\nmax_cals = 3\n"),
        "sidetone.toml:4: unknown key `server.max_cals`, did you mean `max_calls`?; \
         [server] has listen, public_url, max_calls, drain_seconds, insecure"
    );
    assert_eq!(
        mistake("[vad]\ncolour = 1"),
        "sidetone.toml:2: unknown key `vad.colour`; [vad] has provider, noise_suppression, \
         speech_threshold, silence_threshold, min_speech_ms, barge_in_ms, pre_roll_ms"
    );
    assert_eq!(
        mistake("[agents]\ngreeting = \"\""),
        "sidetone.toml:1: unknown key `agents`, did you mean `agent`?; the sections are \
         server, twilio, agent, vad, barge_in, endpointing, eager, idle, handoff, playout, stt, llm, \
         tts, events, api, webhooks, store, recording"
    );
    let error = load("", &[("SIDETONE_SERVER__LISSEN", "x")]).unwrap_err();
    assert!(
        error.starts_with(
            "environment variable SIDETONE_SERVER__LISSEN: unknown key `server.lissen`, \
             did you mean `listen`?"
        ),
        "{error}"
    );
}

#[test]
fn a_wrong_choice_is_told_what_there_is() {
    assert_eq!(
        mistake("[stt]\nprovider = \"wisper\""),
        "sidetone.toml:2: `stt.provider` = \"wisper\": must be \"whisper\" or \"openai\""
    );
    assert_eq!(
        mistake("[endpointing]\nmodel = \"smart\""),
        "sidetone.toml:2: `endpointing.model` = \"smart\": must be \"none\" or \"smart-turn\""
    );
    assert_eq!(
        mistake("[tts]\nprovider = \"say\""),
        "sidetone.toml:2: `tts.provider` = \"say\": must be \"espeak\", \"command\" or \"openai\""
    );
    assert_eq!(
        mistake("[vad]\nprovider = \"loudness\""),
        "sidetone.toml:2: `vad.provider` = \"loudness\": must be \"earshot\", \"webrtc\" or \"silero\""
    );
    assert_eq!(
        mistake("[vad]\nnoise_suppression = \"on\""),
        "sidetone.toml:2: `vad.noise_suppression` = \"on\": must be \"off\" or \"rnnoise\""
    );
}

#[test]
fn a_value_of_the_wrong_type_is_named() {
    assert_eq!(
        mistake("[server]\nmax_calls = \"many\""),
        "sidetone.toml:2: `server.max_calls` = \"many\": must be a whole number, 0 or more"
    );
    assert_eq!(
        mistake("[server]\nmax_calls = -1"),
        "sidetone.toml:2: `server.max_calls` = -1: must be a whole number, 0 or more"
    );
    assert_eq!(
        mistake("[tts]\ncommand = \"espeak-ng\""),
        "sidetone.toml:2: `tts.command` = \"espeak-ng\": must be a list of strings"
    );
    assert_eq!(
        mistake("[agent]\ngreeting = 5"),
        "sidetone.toml:2: `agent.greeting` = 5: must be a string"
    );
    assert_eq!(
        mistake("agent = 5"),
        "sidetone.toml:1: `agent` = 5: is a section: write [agent] and its keys below it"
    );
    assert_eq!(
        mistake("[server]\n\nlisten = \"localhost\""),
        "sidetone.toml:3: `server.listen`: must be an IP address and a port, such as \
         \"127.0.0.1:8080\" or \"[::]:8080\""
    );
    let error = load("", &[("SIDETONE_SERVER__INSECURE", "yes")]).unwrap_err();
    assert_eq!(
        error,
        "environment variable SIDETONE_SERVER__INSECURE: `server.insecure` = \"yes\": \
         must be true or false"
    );
}

#[test]
fn a_value_out_of_range_is_named_with_its_range() {
    for (text, message) in [
        (
            "[server]\nmax_calls = 0",
            "`server.max_calls` = 0: must be 1 to 100000",
        ),
        (
            "[server]\ndrain_seconds = 4000",
            "`server.drain_seconds` = 4000: must be 0 to 3600",
        ),
        (
            "[stt]\nthreads = 999",
            "`stt.threads` = 999: must be 0 (by the number of cores) to 64",
        ),
        (
            "[endpointing]\nsilence_ms = 5",
            "`endpointing.silence_ms` = 5: must be endpointing.min_ms to endpointing.max_ms",
        ),
        (
            "[eager]\npause_ms = 5",
            "`eager.pause_ms` = 5: must be 60 to 1000",
        ),
        (
            "[vad]\nspeech_threshold = 2",
            "`vad.speech_threshold` = 2: must be between 0.0 and 1.0",
        ),
        (
            "[tts]\npcm_rate_hz = 100",
            "`tts.pcm_rate_hz` = 100: must be 0 (the program writes a WAV file) or 4000 to 192000",
        ),
        (
            "[store]\nkeep_days = 36501",
            "`store.keep_days` = 36501: must be 0 to 36500",
        ),
        (
            "[stt]\npartial_interval_ms = 5",
            "`stt.partial_interval_ms` = 5: must be 0 (off) or 200 to 10000",
        ),
    ] {
        assert_eq!(mistake(text), format!("sidetone.toml:2: {message}"));
    }
    let error = mistake("[agent]\nlanguage = \"english\"");
    assert!(
        error.starts_with("sidetone.toml:2: `agent.language` = \"english\": must be"),
        "{error}"
    );
    let error = mistake("[store]\nurl = \"mysql://root:hush@db/calls\"");
    assert!(
        error.starts_with("sidetone.toml:2: `store.url`: must be \"sqlite:\" and a file"),
        "{error}"
    );
    let error = mistake("[recording]\nrecipients = [\"age1me\"]");
    assert!(
        error.starts_with(
            "sidetone.toml:2: `recording.recipients` = \"age1me\": must be public keys"
        ),
        "{error}"
    );
    let error = mistake("[recording]\nenabled = true\n[store]\nurl = \"none\"");
    assert!(
        error.starts_with("sidetone.toml:2: `recording.enabled` = true: needs a store"),
        "{error}"
    );
    let error = mistake("[recording]\nformat = \"mp3\"");
    assert_eq!(
        error,
        "sidetone.toml:2: `recording.format` = \"mp3\": must be \"wav\" or \"opus\""
    );
    let error = mistake("[tts]\nprovider = \"command\"");
    assert!(
        error.contains("`tts.command` = []: must be the program"),
        "{error}"
    );
    let error = mistake("[llm]\nprovider = \"openai\"\nbase_url = \"ollama\"");
    assert!(
        error.starts_with("sidetone.toml:3: `llm.base_url` = \"ollama\": must be"),
        "{error}"
    );
}

#[test]
fn without_an_auth_token_only_the_insecure_start() {
    let error = load("", &[]).unwrap_err();
    assert!(
        error.starts_with("`twilio.auth_token`: is not set"),
        "{error}"
    );
    assert!(error.contains("TWILIO_AUTH_TOKEN"), "{error}");
    assert!(error.contains("`server.insecure`"), "{error}");
    assert!(load("[server]\ninsecure = true", &[]).is_ok());
}

#[test]
fn signatures_need_a_public_url() {
    let token = [("TWILIO_AUTH_TOKEN", "t")];
    let error = load("", &token).unwrap_err();
    assert!(
        error.contains("`server.public_url` = \"\": must be set"),
        "{error}"
    );
    for wrong in [
        "voice.example.com",
        "http://voice.example.com",
        "https://a/?b",
        "wss://a",
        "https://u@a",
    ] {
        let error = load(&format!("[server]\npublic_url = \"{wrong}\""), &token).unwrap_err();
        assert!(
            error.contains("must be https://, a host, and no query"),
            "{wrong}: {error}"
        );
    }
    for good in [
        "https://voice.example.com",
        "https://voice.example.com:8443/a/",
    ] {
        load(&format!("[server]\npublic_url = \"{good}\""), &token).unwrap();
    }
}

#[test]
fn what_cannot_be_a_twilio_account_is_named() {
    let key = "api_key_sid = \"SK00000000000000000000000000000001\"";
    for (text, message) in [
        (
            "account_sid = \"AC1\"".to_owned(),
            "2: `twilio.account_sid` = \"AC1\": must be the account's SID: AC and 32 hexadecimal digits",
        ),
        (
            "api_key_sid = \"AC1\"".to_owned(),
            "2: `twilio.api_key_sid` = \"AC1\": must be an API key's SID: SK and 32 hexadecimal digits",
        ),
        (
            "api_key_secret = \"hush\"".to_owned(),
            "2: `twilio.api_key_secret`: must be set with `twilio.api_key_sid`, and only with it",
        ),
        (
            key.to_owned(),
            ": `twilio.api_key_secret`: must be set with `twilio.api_key_sid`, and only with it",
        ),
        (
            "region = \"jp1\"".to_owned(),
            "2: `twilio.region` = \"jp1\": must be \"us1\", \"ie1\" or \"au1\"",
        ),
        (
            "edge = \"a.b\"".to_owned(),
            "2: `twilio.edge` = \"a.b\": must be an edge location's name",
        ),
        (
            "base_url = \"http://api.twilio.com\"".to_owned(),
            "2: `twilio.base_url` = \"http://api.twilio.com\": must be https://",
        ),
        (
            "base_url = \"https://me:hush@a.example\"".to_owned(),
            "2: `twilio.base_url` = \"…\": must be https://",
        ),
        (
            "request_timeout_ms = 999".to_owned(),
            "2: `twilio.request_timeout_ms` = 999: must be 1000 to 60000",
        ),
    ] {
        let error = mistake(&format!("[twilio]\n{text}"));
        let error = error.trim_start_matches("sidetone.toml:");
        assert!(
            error.starts_with(message) || error.starts_with(message.trim_start_matches(": ")),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn what_is_not_toml_is_named_with_its_line_and_not_quoted() {
    let error = mistake("[twilio]\nauth_token = \"hush-hush\n");
    assert!(
        error.starts_with("sidetone.toml:2: not valid TOML: "),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
    let error = mistake("[server]\nmax_calls = 1\nmax_calls = 2\n");
    assert!(
        error.starts_with("sidetone.toml:3: not valid TOML: duplicate key"),
        "{error}"
    );
}

#[test]
fn secrets_are_in_no_message_and_in_no_printed_configuration() {
    let error = mistake("[twilio]\nauth_token = 7777");
    assert_eq!(
        error,
        "sidetone.toml:2: `twilio.auth_token`: must be a string"
    );

    let config = load(
        "[server]\npublic_url = \"https://voice.example.com\"\n[llm]\nprovider = \"openai\"",
        &[
            ("TWILIO_AUTH_TOKEN", "hush-1"),
            ("OPENAI_API_KEY", "hush-2"),
        ],
    )
    .unwrap();
    let toml = config.effective_toml();
    assert!(!toml.contains("hush"), "{toml}");
    assert!(toml.contains("auth_token = \"********\""), "{toml}");
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn the_effective_configuration_is_a_configuration() {
    let config = load("[server]\ninsecure = true\nmax_calls = 9", &[]).unwrap();
    let again = load(&config.effective_toml(), &[]).unwrap();
    assert_eq!(again, config.spelt_out());
    assert_eq!(again.stt.model, "demo");
}

/// The sample at the root of the repository: comments, and every key behind a `#`.
#[test]
fn the_sample_has_every_key_with_its_default() {
    const SAMPLE: &str = include_str!("../../../../sidetone.example.toml");
    let insecure = [("SIDETONE_SERVER__INSECURE", "true")];
    let mut default = Config::default();
    default.server.insecure = true;
    assert_eq!(load(SAMPLE, &insecure).unwrap(), default);

    let lines = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(load(&lines, &insecure).unwrap(), default);

    let keys = |toml: &str| {
        let sections: BTreeMap<String, BTreeMap<String, toml::Value>> =
            toml::from_str(toml).unwrap();
        let keys = sections.into_iter().flat_map(|(section, keys)| {
            keys.into_keys().map(move |key| format!("{section}.{key}"))
        });
        keys.collect::<Vec<_>>()
    };
    assert_eq!(keys(&lines), keys(&default.effective_toml()));
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::from_layers(Some(Path::new("/no/such/file.toml")), &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the configuration file /no/such/file.toml cannot be read"
    );
}

#[test]
fn webhooks_are_read_and_checked() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhook = |url: &str, events: &str, secret: &str| {
        format!(
            "[server]\ninsecure = true\n[[webhooks]]\nurl = \"{url}\"\nevents = {events}\nsecret = \"{secret}\""
        )
    };
    let url = "https://crm.example.com/hook?line=1";
    let config = load(&webhook(url, "[\"call.ended\"]", SECRET), &[]).unwrap();
    assert_eq!(config.webhooks[0].url, url);
    let toml = config.effective_toml();
    assert!(!toml.contains("MfKQ9r8"), "{toml}");
    for (text, message) in [
        (
            webhook("crm", "[]", SECRET),
            "`webhooks.0.url` = \"crm\": must be https://",
        ),
        (
            webhook(url, "[\"call.end\"]", SECRET),
            "`webhooks.0.events` = \"call.end\": must be names of events: call.started, ",
        ),
        (
            webhook(url, "[]", "hush"),
            "`webhooks.0.secret`: must be whsec_ and base64",
        ),
        (
            format!("[store]\nurl = \"none\"\n{}", webhook(url, "[]", SECRET)),
            "needs a store",
        ),
    ] {
        let error = load(&text, &[]).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn the_api_has_bounds() {
    for key in [
        "requests_per_second",
        "address_requests_per_second",
        "session_idle_minutes",
        "session_hours",
    ] {
        let text = format!("[server]\ninsecure = true\n[api]\n{key} = 0");
        let error = load(&text, &[]).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`api.{key}` = 0: must be 1 to")),
            "{error}"
        );
    }
}

/// A comment in the sample, for it is no default.
#[test]
fn the_samples_webhook_is_one() {
    const SAMPLE: &str = include_str!("../../../../sidetone.example.toml");
    let (_, webhook) = SAMPLE.split_once("#   [[webhooks]]").unwrap();
    let lines = webhook.lines().filter_map(|line| line.strip_prefix("#   "));
    let lines: Vec<_> = lines.filter(|line| !line.starts_with('#')).collect();
    let text = format!(
        "[server]\ninsecure = true\n[[webhooks]]\n{}",
        lines.join("\n")
    );
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.webhooks[0].events, ["call.started", "call.ended"]);
}
