// Signing in with a token.

import * as api from "../api.js";
import { field, h, once, show } from "../dom.js";

export function signInPage(signedIn) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false", "aria-describedby": "sign-in-problem" });
  const problem = h("p", { class: "problem", id: "sign-in-problem", role: "alert" });
  const form = h("form", { class: "card narrow" },
    h("h1", {}, "Sign in"),
    h("p", { class: "soft" }, "With an access token: the server prints one when it starts for the first time, and “sidetone token create” makes more."),
    field("Token", token),
    problem,
    h("button", { type: "submit" }, "Sign in"),
  );
  async function signIn() {
    show(problem, "");
    try {
      signedIn(await api.signIn(token.value.trim()));
    } catch (error) {
      show(problem, error.status === 401 ? "This token is not known, or was revoked." : error.message);
      token.select();
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(form, signIn);
  });
  return form;
}
