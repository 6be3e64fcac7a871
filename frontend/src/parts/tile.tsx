// A number with its name, what more there is to say of it, and a gauge where it is a share of something.

export function Tile(props: { name: string; value: string; more: string; tone?: string; gauge?: number | null }) {
  return (
    <div class={`tile ${props.tone ?? ""}`}>
      <dt>{props.name}</dt>
      <dd>
        <strong>{props.value}</strong>
        {props.gauge !== undefined && <Gauge share={props.gauge} tone={props.tone ?? ""} />}
        <span>{props.more}</span>
      </dd>
    </div>
  );
}

function Gauge({ share, tone }: { share: number | null; tone: string }) {
  const width = 100 * (share ?? 0);
  return (
    <svg class={`gauge ${tone}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="room" width="100" height="4" />
      <rect class="used" width={width} height="4" />
    </svg>
  );
}
