// A question before something is done: what it does, fields if it takes any, and the answer if it fails.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { told } from "../server";

interface Props {
  title: string;
  does: ComponentChildren; // what follows from it, in a sentence
  verb: string; // on the button
  isGrave?: boolean; // it cannot be taken back
  children?: ComponentChildren; // fields, by name
  act: (fields: FormData) => Promise<unknown>;
  close: () => void;
}

export function Dialog({ title, does, verb, isGrave, children, act, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  useEffect(() => dialog.current!.showModal(), []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await act(new FormData(event.currentTarget as HTMLFormElement));
      dialog.current?.close(); // the browser gives the focus back only when an open dialog is closed, not when it is removed
    } catch (error) {
      setProblem(told(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="dialog-title">
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="dialog-title">{title}</h2>
        <p>{does}</p>
        {children}
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current!.close()}>
            Leave it
          </button>
          <button type="submit" class={isGrave ? "grave" : "strong"} disabled={isBusy}>
            {isBusy ? "Working…" : verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** A button that asks first. */
export function Ask(props: Omit<Props, "close"> & { label: string; class?: string }) {
  const [isOpen, setOpen] = useState(false);
  const { label, ...rest } = props;
  return (
    <>
      <button type="button" class={props.class ?? ""} onClick={() => setOpen(true)}>
        {label}
      </button>
      {isOpen && <Dialog {...rest} close={() => setOpen(false)} />}
    </>
  );
}
