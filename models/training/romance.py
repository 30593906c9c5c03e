"""What callers say in Spanish and Portuguese: greetings, yes and no, digits, asking for help or for a person.

    sample(rng, language, split), digit_string(rng, language), short_answer(rng, language)

Text is lower case without punctuation, with its accents.
"""
import re
from pathlib import Path

DIGITS = {
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve".split(),
    "pt": "zero um dois três quatro cinco seis sete oito nove".split(),
}
SLOTS = {
    "es": {
        "greet": ["hola", "hola", "hola", "buenos días", "buenas tardes", "buenas noches", "hola buenos días",
                  "hola buenas tardes", "buenas"],
        "bye": ["adiós", "adiós", "hasta luego", "hasta mañana", "hasta pronto", "adiós buenos días"],
        "thanks": ["gracias", "gracias", "muchas gracias", "muchas gracias", "muchísimas gracias"],
        "agent": ["una persona", "una persona", "un agente", "alguien", "un operador", "una operadora",
                  "una persona real"],
        "thing": ["pedido", "pedido", "paquete", "cuenta", "factura"],
    },
    "pt": {
        "greet": ["olá", "olá", "oi", "bom dia", "boa tarde", "boa noite", "olá bom dia", "olá boa tarde", "alô"],
        "bye": ["tchau", "adeus", "até logo", "até amanhã", "até mais", "tchau bom dia"],
        "thanks": ["obrigado", "obrigada", "muito obrigado", "muito obrigada"],
        "agent": ["uma pessoa", "uma pessoa", "um atendente", "alguém", "um operador", "uma atendente",
                  "uma pessoa real"],
        "thing": ["pedido", "pedido", "pacote", "pagamento", "cartão"],
    },
}
OPENERS = {
    "es": ["sí", "no", "hola", "perdón", "por favor", "bueno", "disculpe", "buenos días"],
    "pt": ["sim", "não", "olá", "desculpe", "por favor", "bom", "certo", "bom dia"],
}
CLOSERS = {
    "es": ["por favor", "gracias", "ahora", "señor", "señora"],
    "pt": ["por favor", "obrigado", "obrigada", "agora", "senhor", "senhora"],
}
LANGUAGES = tuple(DIGITS)


def lines(name):
    return (Path(__file__).parent / "templates" / f"{name}.txt").read_text().splitlines()


TEMPLATES = {language: lines(language) for language in LANGUAGES}
SHORT = {language: [line for line in TEMPLATES[language] if " " not in line and line not in ("{digits}", "{d4}")]
         for language in LANGUAGES}
HELD_OUT = {language: lines(f"{language}_held_out") for language in LANGUAGES}


def digit_string(r, language, lowest=1, highest=8):
    names = list(DIGITS[language])
    if language == "pt" and r.random() < .2:
        names[6] = "meia"                    # half a dozen, as Brazilians say a six
    return " ".join(names[r.randint(0, 9)] for _ in range(r.randint(lowest, highest)))


def fill(template, language, r):
    def slot(match):
        if match[1] == "d4":
            return digit_string(r, language, 4, 4)
        return digit_string(r, language) if match[1] == "digits" else r.choice(SLOTS[language][match[1]])

    return " ".join(re.sub(r"\{(\w+)\}", slot, template).split())


def vocabulary(language):
    options = [option for choices in SLOTS[language].values() for option in choices]
    spoken = TEMPLATES[language] + OPENERS[language] + CLOSERS[language] + DIGITS[language] + options
    return sorted({word for line in spoken for word in re.sub(r"\{\w+\}", " ", line).split()}
                  | ({"meia"} if language == "pt" else set()))


WORDS = {language: vocabulary(language) for language in LANGUAGES}


def pattern(template, language):
    """What the template can come out as."""
    def slot(match):
        return f"(?:{'|'.join(SLOTS[language][match[1]])})" if match[1] in SLOTS[language] else "[^ ]+(?: [^ ]+)*"

    return re.sub(r"\{(\w+)\}", slot, template)


NOT_TO_TRAIN = {language: re.compile("|".join(pattern(template, language) for template in HELD_OUT[language]))
                for language in LANGUAGES}


def spoken(r, language):
    kind = r.random()
    if kind < .08:                           # without sense: it keeps the decoder listening
        return " ".join(r.choice(WORDS[language]) for _ in range(r.randint(1, 6)))
    if kind < .2:
        return digit_string(r, language)
    template, kind = r.choice(TEMPLATES[language]), r.random()
    if kind < .1:
        template = f"{r.choice(OPENERS[language])} {template}"
    elif kind < .18:
        template = f"{template} {r.choice(CLOSERS[language])}"
    elif kind < .25:
        template = f"{template} {r.choice(TEMPLATES[language])}"
    return fill(template, language, r)


def short_answer(r, language):
    """What is said in one breath: the language of these is the hardest to tell."""
    return fill(r.choice(SHORT[language]), language, r)


def sample(r, language, split):
    if split == "held_out":
        return fill(r.choice(HELD_OUT[language]), language, r)
    text = spoken(r, language)
    return None if NOT_TO_TRAIN[language].fullmatch(text) else text
