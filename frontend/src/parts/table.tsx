// A table that scrolls within itself where the screen is too narrow, and can be read by keyboard.

import type { ComponentChildren, Key } from "preact";

export interface Column<T> {
  name: string;
  cell: (row: T) => ComponentChildren;
  isNumber?: boolean;
  isHead?: boolean; // the cell that names the row
  isText?: boolean; // sentences, which may take several lines
}

export function DataTable<T>(props: { label: string; columns: Column<T>[]; rows: readonly T[]; keyOf: (row: T) => Key; open?: (row: T) => ComponentChildren }) {
  const { columns, rows, keyOf } = props;
  return (
    <div class="wide" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" class={column.isNumber ? "number" : ""} key={column.name}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const more = props.open?.(row);
            return [
              <tr key={keyOf(row)}>
                {columns.map((column) =>
                  column.isHead ? (
                    <th scope="row" key={column.name}>
                      {column.cell(row)}
                    </th>
                  ) : (
                    <td class={column.isNumber ? "number" : column.isText ? "text" : ""} key={column.name}>
                      {column.cell(row)}
                    </td>
                  ),
                )}
              </tr>,
              more && (
                <tr class="more" key={`${keyOf(row)} more`}>
                  <td colSpan={columns.length}>{more}</td>
                </tr>
              ),
            ];
          })}
        </tbody>
      </table>
    </div>
  );
}
