/** Requests that change something: a time limit, one clear error, never a silent second try. */

const TIMEOUT_MS = 5000;

export class SendError extends Error {
  constructor(reason, message, status) {
    super(message);
    this.reason = reason;
    this.status = status;
  }
}

async function bodyOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("application/json")) return response.json();
  return {};
}

function refusal(response, body) {
  const said = body.error;
  if (!said && response.status === 403) document.body.dispatchEvent(new Event("session-expired"));
  if (said) return new SendError(said.reason, said.message, response.status);
  return new SendError("server", `The server could not answer this (code ${response.status}). Look at the blotter before you try again.`, response.status);
}

/** POST a form; throws SendError with reason `timeout` when no answer came in five seconds. */
export async function formSend(address, body) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST", body, signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { Accept: "application/json", "X-CSRFToken": document.body.dataset.csrf },
    });
  } catch (error) {
    const reason = error.name === "TimeoutError" ? "timeout" : "network";
    throw new SendError(reason, "No answer from the server.", 0);
  }
  const reply = await bodyOf(response);
  if (response.status === 401) document.body.dispatchEvent(new Event("session-expired"));
  if (!response.ok) throw refusal(response, reply);
  return reply;
}

export async function jsonGet(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const reply = await bodyOf(response);
  if (!response.ok) throw refusal(response, reply);
  return reply;
}
