import { render } from "preact";
import "./style/page.css";
import { App } from "./app";
import { start } from "./live";

start();
render(<App />, document.getElementById("page")!);
