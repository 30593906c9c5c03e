//! What Twilio's voice says to those who are called to the phone, and the agent to those who come back.

/// What is said about a call that changes hands, in one language.
pub(super) struct Words {
    pub(super) offer: &'static str,
    pub(super) press: &'static str,
    pub(super) nothing: &'static str,
    pub(super) caller: &'static str,
    pub(super) agent: &'static str,
    pub(super) back: &'static str,
}

/// In `language` (ISO 639-1), English where it is not known.
pub(super) fn words(language: &str) -> Words {
    match language {
        "es" => Words {
            offer: "Tiene una llamada para usted.",
            press: "Pulse 1 para tomar la llamada.",
            nothing: "Todavía no se ha dicho nada.",
            caller: "El cliente",
            agent: "El asistente",
            back: "Lo siento, nadie puede atenderle ahora. ¿En qué más puedo ayudarle?",
        },
        "pt" => Words {
            offer: "Há uma chamada para você.",
            press: "Tecle 1 para atender a chamada.",
            nothing: "Nada foi dito ainda.",
            caller: "O cliente",
            agent: "O assistente",
            back: "Desculpe, ninguém pode atender agora. Em que mais posso ajudar?",
        },
        _ => Words {
            offer: "There is a call for you.",
            press: "Press 1 to take the call.",
            nothing: "Nothing has been said yet.",
            caller: "The caller",
            agent: "The agent",
            back: "I am sorry, nobody can take your call right now. How else can I help you?",
        },
    }
}
