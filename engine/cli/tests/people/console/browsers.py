"""Chromium for the tests of the console. It does what it is told: a JSON object a line on standard input,
answered by one on standard output, in whatever order they are done. It ends with its input."""

import array
import asyncio
import json
import math
import os
import pathlib
import shutil
import sys
import tempfile
import wave

try:
    from playwright.async_api import Error, async_playwright, expect
except ImportError:
    print(json.dumps({"missing": f"{sys.executable} has no package playwright"}), flush=True)
    sys.exit()

RATE = 48_000
# Longer than anything takes on the busiest machine.
PATIENCE_MS = 45_000
# How often it is listened, in s.
LISTEN_EVERY = 0.05

# What the person at the page hears: everything that goes to the loudspeaker. `level(hz)` is the amplitude of a tone in
# the last 170 ms of it (Goertzel), of 16-bit samples.
EAR = """(() => {
  const connect = AudioNode.prototype.connect;
  let ear = null;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      ear = new AnalyserNode(this.context, { fftSize: 8192 });
      connect.call(this, ear);
    }
    return connect.call(this, to, ...rest);
  };
  globalThis.level = (hz) => {
    if (!ear || ear.context.state === "closed") return 0;
    const samples = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(samples);
    const factor = 2 * Math.cos((2 * Math.PI * hz) / ear.context.sampleRate);
    let [last, before] = [0, 0];
    for (const sample of samples) [last, before] = [sample + factor * last - before, last];
    const power = last * last + before * before - factor * last * before;
    return (Math.sqrt(Math.max(0, power)) * 2 * 32768) / samples.length;
  };
})();"""

# What the browser does to a voice, it does to a tone: it takes it for noise, or for an echo of another, and takes it
# away. What the page asked for is kept in `asked`.
PLAIN = """(() => {
  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = function (asked) {
    globalThis.asked = asked;
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return getUserMedia.call(this, { ...asked, audio: { ...asked.audio, ...plain } });
  };
})();"""

# Controls that cannot be seen whole, and how much wider the page is than the window.
FITS = """() => {
  const wide = document.documentElement.clientWidth;
  const controls = [...document.querySelectorAll("a, button, input, select, textarea, summary, audio")];
  const cut = controls.filter((control) => {
    const { left, right, width } = control.getBoundingClientRect();
    return control.checkVisibility() && !control.matches(".skip") && (width === 0 || left < -0.5 || right > wide + 0.5);
  });
  return {
    surplus: document.documentElement.scrollWidth - wide,
    cut: cut.map((control) => control.textContent.trim() || control.name || control.outerHTML),
  };
}"""


def hum(hz, seconds):
    for n in range(seconds * RATE):
        yield int(8_000 * math.sin(math.tau * hz * n / RATE))


def speech(path):
    """What is said in a recording of 16 bits, mono, and a pause before it and after."""
    with wave.open(path) as file:
        samples = array.array("h", file.readframes(file.getnframes()))
        step = RATE // file.getframerate()
    pause = [0] * RATE
    yield from pause
    for here, there in zip(samples, samples[1:]):
        yield from (here + (there - here) * n // step for n in range(step))
    yield from pause * 2


def record(path, hz, said=None):
    """What a microphone hears, over and over."""
    samples = array.array("h", hum(hz, 2 if said else 10))
    if said:
        samples.extend(speech(said))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


class Browsers:
    def __init__(self, playwright, program, folder):
        self.playwright, self.program, self.folder = playwright, program, pathlib.Path(folder)
        self.browsers, self.pages, self.troubles = {}, {}, {}
        self.starting = asyncio.Lock()
        self.axe = None

    async def browser(self, microphone):
        """The browser with this microphone, which hears a tone `hz` and then what is `said`; or with none."""
        key = json.dumps(microphone)
        async with self.starting:
            if key not in self.browsers:
                arguments = ["--disable-gpu", "--disable-background-networking"]
                if hasattr(os, "geteuid") and os.geteuid() == 0:
                    arguments.append("--no-sandbox")
                if microphone:
                    file = self.folder / f"{len(self.browsers)}.wav"
                    record(file, **microphone)
                    arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={file}"]
                self.browsers[key] = await self.playwright.chromium.launch(executable_path=self.program, args=arguments)
        return self.browsers[key]

    async def open(self, page, url, microphone, allowed=True, width=1280, height=900, scheme="light"):
        browser = await self.browser(microphone)
        context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(PATIENCE_MS)
        # To grant something to this origin is to refuse it everything else.
        await context.grant_permissions(["microphone"] if allowed else [], origin=url.split("/console")[0])
        await context.add_init_script(EAR)
        await context.add_init_script(PLAIN)
        self.pages[page] = opened = await context.new_page()
        self.troubles[page] = troubles = []
        opened.on("pageerror", lambda error: troubles.append(str(error)))
        opened.on("console", lambda message: "Content Security" in message.text and troubles.append(message.text))
        await opened.goto(url)

    def find(self, page, role=None, name=None, label=None, text=None, css=None, within=None):
        root = self.pages[page]
        if within:
            root = root.locator(within)
        if role:
            return root.get_by_role(role, name=name, exact=True)
        if label:
            return root.get_by_label(label, exact=True)
        return (root.get_by_text(text) if text else root.locator(css)).first

    async def goto(self, page, url):
        await self.pages[page].goto(url)

    async def click(self, page, find):
        await self.find(page, **find).click()

    async def fill(self, page, find, text):
        await self.find(page, **find).fill(text)

    async def choose(self, page, find, option):
        await self.find(page, **find).select_option(option)

    async def type(self, page, text):
        await self.pages[page].keyboard.type(text)

    async def press(self, page, keys):
        for key in keys:
            await self.pages[page].keyboard.press(key)

    async def focused(self, page):
        return await self.pages[page].evaluate(
            "() => document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent.trim()"
        )

    async def until(self, page, find, **what):
        """Waits until the element is so."""
        element, so = self.find(page, **find), None
        [(so, value)] = what.items()
        expected = expect(element)
        match so:
            case "visible":
                await (expected.to_be_visible if value else expected.to_be_hidden)(timeout=PATIENCE_MS)
            case "enabled":
                await (expected.to_be_enabled if value else expected.to_be_disabled)(timeout=PATIENCE_MS)
            case "pressed":
                await expected.to_have_attribute("aria-pressed", str(value).lower(), timeout=PATIENCE_MS)
            case "moves":
                await expected.not_to_have_attribute("aria-valuenow", "0", timeout=PATIENCE_MS)
            case "says":
                await expected.to_contain_text(value, timeout=PATIENCE_MS)

    async def count(self, page, css):
        return await self.pages[page].locator(css).count()

    async def level(self, page, hz):
        return await self.pages[page].evaluate("(hz) => level(hz)", hz)

    async def until_level(self, page, hz, above=None, below=None):
        """Waits until a tone is heard, or is not heard any more."""
        level = None
        for _ in range(int(PATIENCE_MS / 1000 / LISTEN_EVERY)):
            level = await self.level(page, hz)
            if level > above if above is not None else level < below:
                return
            await asyncio.sleep(LISTEN_EVERY)
        raise Error(f"{hz} Hz is {'not' if above is not None else 'still'} heard: {level:.0f}")

    async def run(self, page, script):
        return await self.pages[page].evaluate(script)

    async def axe_finds(self, page):
        """What is seriously in somebody's way."""
        if self.axe is None:
            import axe_playwright_python

            folder = pathlib.Path(axe_playwright_python.__file__).parent
            [file] = folder.rglob("axe.min.js")
            self.axe = file.read_text()
        opened = self.pages[page]
        await opened.evaluate(self.axe)
        found = await opened.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{violation['id']} ({violation['impact']}): {violation['help']}: {node['html']}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    async def fits(self, page):
        return await self.pages[page].evaluate(FITS)

    async def picture(self, page, file):
        pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
        await self.pages[page].screenshot(path=file, full_page=True)

    async def forget(self, page):
        await self.pages[page].context.clear_cookies()

    async def close(self, page):
        """Closes the page, as who is done with it, and says what went wrong in it."""
        await self.pages.pop(page).context.close()
        return self.troubles.pop(page)

    async def crash(self, page):
        """The page's process is gone from one moment to the next."""
        session = await self.pages[page].context.new_cdp_session(self.pages[page])
        crash = asyncio.ensure_future(session.send("Page.crash"))
        await self.pages[page].wait_for_event("crash")
        crash.cancel()

    async def obey(self, order):
        answer = {"id": order.pop("id")}
        do = getattr(self, order.pop("do"))
        try:
            answer["done"] = await do(**order)
        # Whatever it is, somebody waits to be told.
        except Exception as problem:
            answer["problem"] = str(problem).split("\nCall log:")[0]
            shown = self.pages.get(order.get("page"))
            if shown:
                answer["problem"] += await self.circumstances(shown, answer["id"])
        print(json.dumps(answer), flush=True)

    async def circumstances(self, page, number):
        try:
            file = self.folder.parent / f"problem-{number}.png"
            await page.screenshot(path=file, full_page=True, timeout=5_000)
            notices = await page.locator(".notice, .problem, [role=status]").all_inner_texts()
            told = "; ".join(filter(None, notices))
            return f"\nthe page at {page.url} tells: {told}\nit is in {file}"
        except Error:
            return f"\nthe page at {page.url} cannot be looked at"


async def main():
    named = os.environ.get("SIDETONE_TEST_CHROMIUM")
    program = named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        print(json.dumps({"missing": "there is no chromium"}), flush=True)
        return
    for old in pathlib.Path(sys.argv[1]).glob("problem-*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as folder:
        async with async_playwright() as playwright:
            browsers = Browsers(playwright, program, folder)
            print(json.dumps({"ready": True}), flush=True)
            running = set()
            while line := await asyncio.to_thread(sys.stdin.readline):
                order = asyncio.ensure_future(browsers.obey(json.loads(line)))
                running.add(order)
                order.add_done_callback(running.discard)


asyncio.run(main())
