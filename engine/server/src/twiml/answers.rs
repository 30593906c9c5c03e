//! The documents that answer a voice webhook.

use super::{Say, Stream, Twiml};

/// The `<Parameter>` that carries the single-use token to the stream's `start` message.
pub(crate) const TOKEN_PARAMETER: &str = "token";

/// Connects the call to the media stream at `url`, which reports to `status_url` how it fares,
/// passing `token` to it.
pub(crate) fn connect(url: &str, status_url: &str, token: &str) -> String {
    let stream = Stream::new(url)
        .status_callback(status_url)
        .parameter(TOKEN_PARAMETER, token)
        .expect("a token has 32 characters");
    Twiml::new().connect(&stream).to_string()
}

/// Hangs up.
pub(crate) fn hang_up() -> String {
    Twiml::new().hangup().to_string()
}

/// The voice that Twilio says something with in `language` (ISO 639-1; English where it is not known).
pub(crate) fn locale(language: &str) -> &'static str {
    match language {
        "es" => "es-MX",
        "pt" => "pt-BR",
        _ => "en-US",
    }
}

/// Tells the caller in `language` (ISO 639-1; English where it is not known) that nobody can
/// answer now, and hangs up.
pub(crate) fn busy(language: &str) -> String {
    let words = match language {
        "es" => {
            "Lo sentimos, todas nuestras líneas están ocupadas. \
             Por favor, vuelva a llamar más tarde. Adiós."
        }
        "pt" => {
            "Desculpe, todas as nossas linhas estão ocupadas. \
             Por favor, ligue novamente mais tarde. Até logo."
        }
        _ => "We are sorry, all our lines are busy. Please call again later. Goodbye.",
    };
    Twiml::new()
        .say(&Say::new(words).language(locale(language)))
        .hangup()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_connected_to_the_stream_with_its_token() {
        assert_eq!(
            connect(
                "wss://voice.example/twilio/media",
                "https://voice.example/twilio/status",
                "abc"
            ),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Response><Connect><Stream url=\"wss://voice.example/twilio/media\" \
             statusCallback=\"https://voice.example/twilio/status\">\
             <Parameter name=\"token\" value=\"abc\"/></Stream></Connect></Response>\n"
        );
    }

    #[test]
    fn what_goes_into_an_attribute_is_escaped() {
        let twiml = connect("wss://a\"><Dial>1</Dial>&", "https://a", "t");
        assert!(twiml.contains(r#"url="wss://a&quot;&gt;&lt;Dial&gt;1&lt;/Dial&gt;&amp;""#));
    }

    #[test]
    fn the_busy_message_speaks_the_callers_language_and_hangs_up() {
        for (language, locale) in [
            ("en", "en-US"),
            ("es", "es-MX"),
            ("pt", "pt-BR"),
            ("ja", "en-US"),
        ] {
            let twiml = busy(language);
            assert!(
                twiml.contains(&format!("<Say language=\"{locale}\">")),
                "{twiml}"
            );
            assert!(twiml.ends_with("</Say><Hangup/></Response>\n"), "{twiml}");
        }
    }
}
