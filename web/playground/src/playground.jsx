import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { GraphiQL } from "graphiql";
import { useEditorContext, useSchemaStore } from "@graphiql/react";
import { parseCaptures } from "./captures.js";
import { createFetcher } from "./fetcher.js";
import { findLinks } from "./links.js";
import { loadToken, loadValues, resetPage, saveToken, saveValues } from "./session.js";

const statusTexts = {
  waiting: "Connecting …",
  missing: "No access token",
  connected: "Connected",
  refused: "Token refused",
  offline: "No answer",
};

/** A document that cannot be read captures nothing; running it says why. */
function captureNames(query) {
  try {
    return parseCaptures(query).map((capture) => capture.name);
  } catch {
    return [];
  }
}

export function Playground({ config }) {
  const [token, setToken] = useState(() => loadToken() ?? config.token);
  const [status, setStatus] = useState("waiting");
  const [values, setValues] = useState(loadValues);
  const [answer, setAnswer] = useState(null);

  const fetcher = useMemo(
    () =>
      createFetcher({
        endpoint: config.endpoint,
        token,
        values: loadValues,
        origin: (name) => config.tabs.find((tab) => captureNames(tab.query).includes(name))?.name ?? "",
        onStatus: setStatus,
        onAnswer({ answer, captured, missing }) {
          const all = { ...loadValues(), ...captured };
          saveValues(all);
          setValues(all);
          setAnswer({ links: findLinks(answer), captured: Object.keys(captured), missing, failed: Boolean(answer.errors) });
        },
      }),
    [config, token],
  );

  const changeToken = useCallback((text) => {
    saveToken(text);
    setStatus("waiting");
    setToken(text);
  }, []);

  const forgetAnswer = useCallback(() => setAnswer(null), []);
  const defaultTabs = useMemo(() => config.tabs.map(({ query, variables }) => ({ query, variables })), [config]);

  return (
    <div className="purser">
      <header className="purser-header">
        <h1 className="purser-name">
          <span className="purser-mark" aria-hidden="true" />
          Purser <small>{config.version}</small>
        </h1>
        <TokenField token={token} status={status} onChange={changeToken} />
      </header>
      <main className="purser-editor">
        <GraphiQL
          fetcher={fetcher}
          defaultTabs={defaultTabs.length > 0 ? defaultTabs : undefined}
          defaultEditorToolsVisibility="variables"
          shouldPersistHeaders={false}
          inputValueDeprecation
          schemaDescription
        >
          <GraphiQL.Logo>
            <ResetButton />
            <a className="purser-licences" href="/playground/licenses.txt" target="_blank" rel="noopener noreferrer">
              Licences
            </a>
          </GraphiQL.Logo>
          <GraphiQL.Footer>
            <AnswerBar answer={answer} values={values} onTabChange={forgetAnswer} />
          </GraphiQL.Footer>
        </GraphiQL>
      </main>
    </div>
  );
}

/** The field waits until typing pauses, because each new token reads the schema again. */
function TokenField({ token, status, onChange }) {
  const [text, setText] = useState(token);
  const [visible, setVisible] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);

  const commit = (value) => {
    clearTimeout(timer.current);
    if (value.trim() !== token) onChange(value.trim());
  };
  return (
    <form
      className="purser-token"
      onSubmit={(event) => {
        event.preventDefault();
        commit(text);
      }}
    >
      <label htmlFor="access-token">Access token</label>
      <span className="purser-token-field">
        <input
          id="access-token"
          type={visible ? "text" : "password"}
          value={text}
          placeholder="pur_…"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          aria-describedby="token-status"
          onBlur={() => commit(text)}
          onChange={(event) => {
            const value = event.target.value;
            setText(value);
            clearTimeout(timer.current);
            timer.current = setTimeout(commit, 400, value);
          }}
        />
        <button type="button" aria-pressed={visible} onClick={() => setVisible(!visible)}>
          {visible ? "Hide" : "Show"}
        </button>
      </span>
      <span id="token-status" className={`purser-status purser-status-${status}`} role="status">
        {statusTexts[status]}
      </span>
    </form>
  );
}

function ResetButton() {
  return (
    <button
      type="button"
      className="purser-reset"
      title="Open the example tabs again; edited tabs and history are forgotten"
      onClick={() => {
        if (!window.confirm("Open the example tabs again? Edited tabs and history are forgotten.")) return;
        resetPage();
        window.location.reload();
      }}
    >
      Reset tabs
    </button>
  );
}

/** What can be done with the last answer: its links, what later tabs took from it, and the way on. */
function AnswerBar({ answer, values, onTabChange }) {
  const { tabs, activeTabIndex, changeTab, responseEditor } = useEditorContext({ nonNull: true });
  const { fetchError } = useSchemaStore();
  const shownError = useRef(null);
  useEffect(() => {
    // GraphiQL shows why it could not read the schema where answers go, and
    // leaves it there when a second try succeeds.
    if (fetchError === null && shownError.current !== null && responseEditor?.getValue() === shownError.current) {
      responseEditor.setValue("");
    }
    shownError.current = fetchError;
  }, [fetchError, responseEditor]);
  const activeTab = tabs[activeTabIndex]?.id;
  useEffect(() => {
    onTabChange();
    // The strip of tabs may be wider than the window.
    document.getElementById(`graphiql-session-tab-${activeTabIndex}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [activeTab]);
  if (answer === null) return null;
  const next = answer.failed ? undefined : tabs[activeTabIndex + 1];
  return (
    <div className="purser-answer" aria-live="polite">
      {answer.links.map(({ name, href }) => (
        <a key={href} className="purser-link" href={href} target="_blank" rel="noopener noreferrer" data-name={name}>
          Open {name} <span aria-hidden="true">↗</span>
        </a>
      ))}
      {answer.captured.map((name) => (
        <span key={name} className="purser-chip" title={values[name]} data-name={name}>
          kept {name} <code>{values[name]}</code>
        </span>
      ))}
      {answer.missing.map((name) => (
        <span key={name} className="purser-chip purser-chip-missing" data-name={name}>
          no {name} in this answer
        </span>
      ))}
      {next && (
        <button type="button" className="purser-next" onClick={() => changeTab(activeTabIndex + 1)}>
          Next: {next.title} <span aria-hidden="true">→</span>
        </button>
      )}
    </div>
  );
}
