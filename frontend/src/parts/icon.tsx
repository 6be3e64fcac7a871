// The few signs there are; each stands beside a word, so that none has to be guessed.

const PATHS = {
  well: "M3 8.5l3.2 3.2L13 5",
  idle: "M4 8h8",
  slow: "M8 4v4.2l2.8 1.8M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z",
  full: "M2.5 12.5h11M3.5 12V8M6.5 12V6M9.5 12V4M12.5 12V2.5",
  gone: "M4 4l8 8M12 4l-8 8",
  loop: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  wait: "M4.5 2.5h7M4.5 13.5h7M5 2.5c0 3 3 4 3 5.5s-3 2.5-3 5.5M11 2.5c0 3-3 4-3 5.5s3 2.5 3 5.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
