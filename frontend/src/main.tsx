import { render } from "preact";
import "./page.css";

interface Told {
  pools: string[];
}

const told: Told = JSON.parse(document.querySelector<HTMLMetaElement>('meta[name="millpond"]')!.content);

function Page() {
  return (
    <main>
      <h1>Millpond</h1>
      <ul>
        {told.pools.map((pool) => (
          <li key={pool}>{pool}</li>
        ))}
      </ul>
    </main>
  );
}

render(<Page />, document.getElementById("page")!);
