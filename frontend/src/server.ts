// Requests to the server that the page came from, and what it wrote into the page.

export interface Login {
  root: string;
  role: "view" | "admin";
  owner: string;
  version: string;
  pools: string[];
  unmeasured: string[]; // those of the pools that keep no metrics
  login: boolean;
}

export const LOGIN: Login = JSON.parse(document.querySelector<HTMLMetaElement>('meta[name="millpond"]')!.content);
export const IS_ADMIN = LOGIN.role === "admin";

/** Whether the pool keeps metrics: one that does not has no snapshots, no history, no alerts and no optimizer. */
export function isMeasured(pool: string): boolean {
  return !LOGIN.unmeasured.includes(pool);
}

/** An answer that is no success: its status, the code of its problem, and a sentence for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

export function poolPath(pool: string, rest = ""): string {
  return `/v1/pools/${encodeURIComponent(pool)}${rest}`;
}

/** The answer's JSON. Throws `Refusal`, or `TypeError` where the server cannot be reached. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await request(path, { signal: signal ?? null, headers: { Accept: "application/json" } });
  return (await answer.json()) as T;
}

/** A command of an administrator; throws as `get`. */
export async function command<T>(pool: string, verb: string, body: unknown = {}): Promise<T> {
  return post(poolPath(pool, `/admin/${verb}`), body);
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  const answer = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export async function request(path: string, options: RequestInit): Promise<Response> {
  const answer = await fetch(LOGIN.root + path, { credentials: "same-origin", cache: "no-store", ...options });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer: Response): Promise<Refusal> {
  let problem: { code?: string; detail?: string; title?: string } = {};
  try {
    problem = await answer.json();
  } catch {
    // no problem document: a proxy's answer, say
  }
  const detail = problem.detail || problem.title || answer.statusText || "The server refused.";
  return new Refusal(answer.status, problem.code ?? "", detail);
}

/** What to tell people of a failure. */
export function told(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof TypeError) return "The server cannot be reached.";
  return String(error);
}
