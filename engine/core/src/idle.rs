//! What is said to a caller who says nothing.

use crate::config::IdleConfig;

/// "Are you still there?", as configured or in `language`.
pub(crate) fn prompt<'a>(config: &'a IdleConfig, language: &str) -> &'a str {
    match (config.prompt.as_str(), language) {
        ("", "es") => "¿Sigue ahí?",
        ("", "pt") => "Ainda está na linha?",
        ("", _) => "Are you still there?",
        (prompt, _) => prompt,
    }
}

/// The goodbye, as configured or in `language`.
pub(crate) fn goodbye<'a>(config: &'a IdleConfig, language: &str) -> &'a str {
    match (config.goodbye.as_str(), language) {
        ("", "es") => "No le oigo, así que voy a colgar. Adiós.",
        ("", "pt") => "Não consigo ouvir você, então vou desligar. Até logo.",
        ("", _) => "I can't hear you, so I will hang up now. Goodbye.",
        (goodbye, _) => goodbye,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_goes_before_the_language() {
        let mut config = IdleConfig::default();
        assert_eq!(prompt(&config, "de"), "Are you still there?");
        assert_eq!(prompt(&config, "es"), "¿Sigue ahí?");
        assert!(goodbye(&config, "pt").ends_with("Até logo."));
        config.prompt = "Hello?".into();
        config.goodbye = "Bye.".into();
        assert_eq!(
            (prompt(&config, "es"), goodbye(&config, "pt")),
            ("Hello?", "Bye.")
        );
    }
}
