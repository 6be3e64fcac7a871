// Where the code of a worker is at this moment: looked at once, and again when asked to.

import { useAnswer } from "../asking";
import { poolPath } from "../server";
import { Text } from "./text";

export function Stack({ pool, worker, title }: { pool: string; worker: number; title: string }) {
  const stack = useAnswer<{ text: string }>(poolPath(pool, `/workers/${worker}/stack`), 0);
  return (
    <>
      <h3>
        {title}{" "}
        <button type="button" class="link" onClick={stack.again}>
          Look again
        </button>
      </h3>
      <Text answer={stack} label={`Stack of worker ${worker}`} nothing="It has no Python frame." />
    </>
  );
}
