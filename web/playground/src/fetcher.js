// Sends the editor's operations: queries and mutations by POST,
// subscriptions over a WebSocket that speaks graphql-transport-ws.

import { getOperationAST, parse } from "graphql";
import { createClient } from "graphql-ws";
import { expand, find, known, parseCaptures } from "./captures.js";

const introspection = "IntrospectionQuery";

/**
 * A GraphiQL fetcher.
 *
 * endpoint  path of the GraphQL endpoint on this host
 * token     access token; "" sends nothing
 * values    reads the captured values: () => ({name: value})
 * origin    names the tab that captures a value: (name) => title or ""
 * onAnswer  called with {answer, captured, missing} after every answer
 * onStatus  called with "connected", "refused" or "offline"
 */
export function createFetcher({ endpoint, token, values, origin, onAnswer, onStatus }) {
  const lookup = (name) => {
    if (name === "uuid") return newId();
    const value = known(window.location.origin, new Date())[name] ?? values()[name];
    if (value !== undefined) return value;
    const tab = origin(name);
    throw problem(`{{${name}}} has no value yet: ${tab ? `run the tab “${tab}” first.` : "no tab captures it."}`);
  };

  const finish = (captures, answer) => {
    const captured = {};
    const missing = [];
    for (const { name, path } of captures) {
      const value = find(answer, path);
      if (value === undefined) missing.push(name);
      else captured[name] = value;
    }
    onAnswer({ answer, captured, missing });
    return answer;
  };

  return async function fetcher({ query, operationName, variables }, options) {
    if (token === "") {
      onStatus("missing");
      throw problem("Enter an access token at the top of the page. A development server prints one when it starts.");
    }
    const params = { query, operationName, variables: expand(variables ?? {}, lookup) };
    if (operationName === introspection) {
      return post(endpoint, token, params, options, onStatus);
    }
    const captures = parseCaptures(query);
    const document = parse(query);
    // Just after a change of tabs GraphiQL still names the last tab's
    // operation; where there is only one, no name is needed.
    const operation = getOperationAST(document, operationName) ?? getOperationAST(document);
    params.operationName = operation?.name?.value;
    if (operation?.operation === "subscription") {
      return subscribe(endpoint, token, params, (answer) => finish(captures, answer));
    }
    return finish(captures, await post(endpoint, token, params, options, onStatus));
  };
}

/** An error to be read by a person: GraphiQL would show its stack as well. */
function problem(message) {
  const error = new Error(message);
  error.stack = undefined;
  return error;
}

async function post(endpoint, token, params, options, onStatus) {
  let response;
  try {
    response = await fetch(endpoint, {
      method: "POST",
      headers: {
        Accept: "application/graphql-response+json, application/json;q=0.9",
        "Content-Type": "application/json",
        Authorization: `Bearer ${token}`,
        ...options?.headers,
      },
      body: JSON.stringify(params),
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    onStatus("offline");
    throw problem(`The server does not answer: ${error.message}`);
  }
  onStatus(response.status === 401 ? "refused" : "connected");
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw problem(`The server answered ${response.status} with something else than JSON: ${text.slice(0, 200)}`);
  }
}

/** An observable of the subscription's answers; unsubscribing closes the socket. */
function subscribe(endpoint, token, params, onAnswer) {
  return {
    subscribe(observer) {
      const url = new URL(endpoint, window.location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const client = createClient({
        url: url.href,
        connectionParams: { Authorization: `Bearer ${token}` },
        retryAttempts: 3,
      });
      const stop = client.subscribe(params, {
        next: (answer) => observer.next(onAnswer(answer)),
        error: (error) => observer.error(readable(error)),
        complete: () => observer.complete(),
      });
      return {
        unsubscribe() {
          stop();
          client.dispose();
        },
      };
    },
  };
}

/** Close events and error lists as one Error with a sentence in it. */
function readable(error) {
  if (error instanceof CloseEvent) {
    return problem(`The server closed the stream: ${error.reason || "no reason given"} (${error.code})`);
  }
  return Array.isArray(error) ? { errors: error } : error;
}

/** A random UUID; made by hand because randomUUID exists on secure origins only. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
