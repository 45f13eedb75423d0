import { createRoot } from "react-dom/client";
import "graphiql/style.css";
import "./style.css";
import { Playground } from "./playground.jsx";
import { alignStoredQuery } from "./session.js";

const root = document.getElementById("playground");

try {
  const response = await fetch("/playground/config.json", { cache: "no-store", credentials: "omit" });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  alignStoredQuery();
  createRoot(root).render(<Playground config={await response.json()} />);
} catch (error) {
  const message = document.createElement("main");
  message.className = "plain";
  message.setAttribute("role", "alert");
  message.textContent = `The playground could not start: ${error.message}. Reload the page to try again.`;
  root.replaceChildren(message);
}
