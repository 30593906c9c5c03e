// Whether a machine that answers somebody's phone gets what was meant for them.

import { h, tick } from "../dom.js";

/** A box to tick: `value()` as the API has it. */
export function machineCheck() {
  const box = h("input", { type: "checkbox", name: "machine_detection" });
  return {
    box,
    element: tick("Hang up on a machine", box, "Such as a voicemail. Finding out takes some seconds in which who answers hears nothing, and costs extra at Twilio."),
    value: () => (box.checked ? "hang_up" : "off"),
  };
}
