"""What callers say: random sentences from templates.

    sample(rng, domain, split) -> text

domain   "demo": the lines of the demo's caller, and nothing else
         "order_line": an order help line, the demo's lines among it
         "wide": all kinds of phone calls
         "digits": digit strings
         "es", "pt": simple calls in Spanish and Portuguese, `romance.py`
         "es_digits", "pt_digits": digit strings in these languages
         "es_short", "pt_short": their greetings, yes, no and the like
split    "train", or "held_out": templates that training never sees

Text is lower case without punctuation; single spelled letters are upper case.
"""
import random
import re
from pathlib import Path

import romance

DIGITS = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth").split()
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
FIRST_NAMES = (
    "james john robert michael william david richard joseph thomas charles mary patricia jennifer linda "
    "elizabeth barbara susan jessica sarah karen daniel matthew anthony mark paul steven andrew kevin brian "
    "george nancy lisa betty margaret sandra ashley emily donna michelle carol amanda laura anna peter alice").split()
LAST_NAMES = (
    "smith johnson williams brown jones garcia miller davis rodriguez martinez wilson anderson taylor moore "
    "jackson martin lee thompson white harris clark lewis robinson walker young king wright scott green baker").split()
PRODUCTS = ("phone laptop tablet keyboard printer camera charger cable battery headphones shoes jacket shirt dress table "
            "chair lamp sofa bed book watch bike television router modem card ticket coat bag box").split()
COLOURS = "red blue black white green grey brown yellow pink orange".split()
SERVICES = ("haircut massage cleaning checkup repair delivery inspection consultation installation service meeting "
            "viewing dentist doctor mechanic plumber").split()
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FAULTS = "broken damaged late missing wrong faulty incomplete cracked empty dirty slow noisy".split()
THINGS = ("order package parcel delivery account bill invoice payment refund appointment booking reservation "
          "subscription password email address phone number contract insurance warranty receipt").split()
CITIES = "london paris boston chicago dallas denver houston madrid dublin austin seattle miami berlin".split()

MAX_WORDS = 16


def templates(name):
    return (Path(__file__).parent / "templates" / f"{name}.txt").read_text().splitlines()


DEMO = templates("demo")
ORDER_LINE = templates("order_line")
ORDER_LINE_HELD_OUT = templates("order_line_held_out")
WIDE = templates("wide")
WIDE_HELD_OUT = templates("wide_held_out")


def cardinal(n):
    if n < 10:
        return DIGITS[n]
    if n < 20:
        return TEENS[n - 10]
    if n < 100:
        return TENS[n // 10 - 2] + (f" {DIGITS[n % 10]}" if n % 10 else "")
    return f"{DIGITS[n // 100]} hundred" + (f" and {cardinal(n % 100)}" if n % 100 else "")


def ordinal(n):
    if n <= 20:
        return ORDINALS[n - 1]
    return "thirtieth" if n == 30 else f"{TENS[n // 10 - 2]} {ORDINALS[n % 10 - 1]}"


def digit_string(r, lowest=3, highest=8):
    zero = "oh" if r.random() < .25 else "zero"
    digits = [r.randint(0, 9) for _ in range(r.randint(lowest, highest))]
    return " ".join(DIGITS[d] if d else zero for d in digits)


def order_number(r):
    """Mostly four digits, as the demo asks for."""
    return digit_string(r, 4, 4) if r.random() < .75 else digit_string(r, 1, 8)


def clock_time(r):
    hour, kind = cardinal(r.randint(1, 12)), r.random()
    if kind < .2:
        return hour + " o'clock"
    if kind < .3:
        return "half past " + hour
    if kind < .4:
        return f"quarter {r.choice(['to', 'past'])} {hour}"
    if kind < .5:
        return hour + r.choice([" in the morning", " in the afternoon", " in the evening"])
    if kind > .75:
        hour += " " + r.choice(["fifteen", "thirty", "forty five", "twenty", "ten", "fifty"])
    return hour + r.choice(["", " am", " pm", " am", " pm"])


def date(r):
    day, kind = ordinal(r.randint(1, 31)), r.random()
    if kind < .35:
        return f"{r.choice(MONTHS)} {day}"
    if kind < .6:
        return f"the {day} of {r.choice(MONTHS)}"
    return f"the {day}" if kind < .75 else f"{r.choice(DAYS)} the {day}"


def when(r):
    kind = r.random()
    if kind < .25:
        return "on " + r.choice(DAYS)
    if kind < .4:
        return r.choice(["next ", "this "]) + r.choice(DAYS + ["week", "month"])
    if kind < .55:
        return r.choice(["today", "tomorrow", "tonight", "yesterday", "tomorrow morning", "this afternoon",
                         "later today", "tomorrow afternoon"])
    if kind < .75:
        return "on " + date(r)
    if kind < .9:
        return f"{r.choice(DAYS)} at {clock_time(r)}"
    return f"in {cardinal(r.randint(2, 10))} {r.choice(['days', 'weeks', 'minutes', 'hours', 'months'])}"


def money(r):
    amount = cardinal(r.randint(1, 120) if r.random() < .7 else r.randint(100, 999))
    if r.random() < .6:
        return f"{amount} {r.choice(['dollars', 'euros', 'pounds'])}"
    return f"{amount} dollars and {cardinal(r.randint(5, 99))} cents"


def spelling(r):
    if r.random() < .5:
        return " ".join(r.choice(LETTERS) for _ in range(r.randint(2, 6)))
    return " ".join(r.choice(FIRST_NAMES + LAST_NAMES)[:8].upper())


def choice(*options):
    return lambda r: r.choice(options)


SHARED_SLOTS = {
    "day": choice(*DAYS),
    "want": choice("i want to", "i'd like to", "i would like to", "i need to", "can i", "could i"),
    "can": choice("can you", "could you", "can you please", "could you please"),
    "greet": choice("hello", "hi", "hi there", "hey", "good morning", "good afternoon", "good evening", "hello there"),
}
ORDER_LINE_SLOTS = SHARED_SLOTS | {
    "digits": order_number,
    "d4": lambda r: digit_string(r, 4, 4) if r.random() < .9 else "four two seven one",
    "first": choice(*FIRST_NAMES[:24]),
    "when": lambda r: r.choice(["today", "tomorrow", "tonight", "this week", "next week", "yesterday",
                                "tomorrow morning", "this afternoon", "on " + r.choice(DAYS), "this " + r.choice(DAYS),
                                "next " + r.choice(DAYS)]),
    "agent": choice("a person", "a person", "an agent", "an agent", "a human", "someone", "an operator",
                    "a real person", "a manager"),
}
WIDE_SLOTS = SHARED_SLOTS | {
    "digits": digit_string, "num": lambda r: cardinal(r.randint(1, 99)), "time": clock_time, "date": date,
    "when": when, "money": money, "letters": spelling,
    "code": lambda r: " ".join(r.choice(LETTERS) for _ in range(r.randint(1, 2))) + " " + digit_string(r, 2, 5),
    "first": choice(*FIRST_NAMES), "last": choice(*LAST_NAMES),
    "full": lambda r: f"{r.choice(FIRST_NAMES)} {r.choice(LAST_NAMES)}",
    "prod": choice(*PRODUCTS), "color": choice(*COLOURS), "svc": choice(*SERVICES), "issue": choice(*FAULTS),
    "thing": choice(*THINGS), "city": choice(*CITIES),
    "want": choice("i want to", "i'd like to", "i would like to", "i need to", "can i", "could i", "i'm calling to",
                   "i just want to", "may i", "please let me", "i have to"),
    "can": choice("can you", "could you", "would you", "will you", "can you please", "could you please"),
    "agent": choice("a person", "an agent", "a human", "a representative", "someone", "an operator", "a manager",
                    "your supervisor", "a real person", "customer service", "somebody", "a human being", "the manager",
                    "a real human"),
    "dept": choice("sales", "support", "billing", "technical support", "accounts", "reception",
                   "the billing department", "the sales department", "the front desk"),
}
OPENERS = ["hello", "hi", "yes", "okay", "no", "sorry", "please", "excuse me", "good morning", "so", "well", "yeah"]
CLOSERS = ["please", "thank you", "thanks", "now", "again"]


def fill(template, slots, r):
    return " ".join(re.sub(r"\{(\w+)\}", lambda m: slots[m[1]](r), template).split())


def literal_words(lines):
    return {word for line in lines for word in re.sub(r"\{\w+\}", " ", line).split()}


ORDER_LINE_WORDS = sorted(literal_words(ORDER_LINE + DEMO) | set(DIGITS) | set(DAYS) | {"oh"})
WIDE_WORDS = sorted(literal_words(WIDE) | set(
    DIGITS + TEENS + TENS + ORDINALS + DAYS + MONTHS + FIRST_NAMES + LAST_NAMES + PRODUCTS + COLOURS + SERVICES +
    LETTERS + FAULTS + THINGS + CITIES))


def word_salad(words, r):
    """Words without sense: they keep the decoder listening instead of completing sentences it knows."""
    return " ".join(r.choice(words) for _ in range(r.randint(1, 7)))


def order_line(r):
    kind = r.random()
    if kind < .07:
        return word_salad(ORDER_LINE_WORDS, r)
    template = r.choice(DEMO if r.random() < .14 else ORDER_LINE)
    kind = r.random()
    if kind < .13:
        template = f"{r.choice(OPENERS)} {template}"
    elif kind < .2:
        template = f"{template} {r.choice(CLOSERS)}"
    elif kind < .26:
        template = f"{template} {r.choice(ORDER_LINE)}"
    return None if template in ORDER_LINE_HELD_OUT else fill(template, ORDER_LINE_SLOTS, r)


def wide(r):
    kind = r.random()
    if kind < .16:
        return word_salad(WIDE_WORDS, r)
    text = fill(r.choice(WIDE), WIDE_SLOTS, r)
    if .22 < kind < .5:
        text += " " + fill(r.choice(WIDE), WIDE_SLOTS, r)
    elif kind > .93:                          # a turn that was cut
        words = text.split()
        start = r.randrange(len(words))
        text = " ".join(words[start:start + r.randint(1, len(words) - start)])
    return text


DOMAINS = ["demo", "order_line", "wide", "digits"] + [
    language + part for language in romance.LANGUAGES for part in ("", "_digits", "_short")]


def language_of(domain):
    return domain[:2] if domain[:2] in romance.LANGUAGES else "en"


def sample(r, domain, split="train"):
    language = language_of(domain)
    while True:
        if domain == "demo":
            text = fill(r.choice(DEMO), ORDER_LINE_SLOTS, r)
        elif domain == "digits":
            text = digit_string(r, 1, 8)
        elif domain == "order_line":
            text = order_line(r) if split == "train" else fill(r.choice(ORDER_LINE_HELD_OUT), ORDER_LINE_SLOTS, r)
        elif domain == "wide":
            text = wide(r) if split == "train" else fill(r.choice(WIDE_HELD_OUT), WIDE_SLOTS, r)
        elif domain == language:
            text = romance.sample(r, language, split)
        elif domain == f"{language}_digits":
            text = romance.digit_string(r, language)
        elif domain == f"{language}_short":
            text = romance.short_answer(r, language)
        else:
            raise ValueError(f"no such domain: {domain}")
        if text and len(text.split()) <= MAX_WORDS:
            return text


def words():
    """Every word that a sentence can hold."""
    r, found = random.Random(0), set(ORDER_LINE_WORDS + WIDE_WORDS).union(*romance.WORDS.values())
    for domain, slots in (("order_line", ORDER_LINE_SLOTS), ("wide", WIDE_SLOTS)):
        for slot in slots.values():
            for _ in range(300):
                found |= set(slot(r).split())
        for _ in range(3000):
            found |= set(sample(r, domain, "held_out").split())
    return sorted(found | set(" ".join(OPENERS + CLOSERS).split()))


if __name__ == "__main__":
    rng = random.Random(1)
    for name in DOMAINS:
        for part in ("train", "held_out"):
            print(f"{name} {part}:", *(f"\n    {sample(rng, name, part)}" for _ in range(5)))
    print(len(words()), "words,", len(ORDER_LINE_WORDS), "of them on the order line")
