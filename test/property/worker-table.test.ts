import fc from 'fast-check';
import { expect, it } from 'vitest';
import { WorkerTable } from '../../src/coordinator/worker-table.js';

const states = ['loading', 'standby', 'running'] as const;
interface Row {
  readonly connection: string;
  readonly join: { readonly workerId: string };
  readonly lifecycle: { readonly state: (typeof states)[number] };
}
const rowOf = (name: number, state: number): Row => ({
  connection: `c${name}`,
  join: { workerId: `w${name}` },
  lifecycle: { state: states[state % 3]! },
});

/** Compares a table with a map of the same rows, in the order in which they were added. */
function expectEqual(table: WorkerTable<Row>, model: ReadonlyMap<string, Row>): void {
  expect([...table.values()]).toEqual([...model.values()]);
  for (let name = 0; name < 12; name++) {
    expect(table.get(`c${name}`)).toBe(model.get(`c${name}`));
    expect(table.has(`c${name}`)).toBe(model.has(`c${name}`));
    expect(table.hasWorkerId(`w${name}`)).toBe(model.has(`c${name}`));
  }
  for (const state of states)
    expect(table.count(state)).toBe(
      [...model.values()].filter(({ lifecycle }) => lifecycle.state === state).length,
    );
}

/** Each change starts from any earlier version, so versions branch. */
const change = fc.record({
  from: fc.nat(),
  kind: fc.constantFrom('set', 'set', 'set', 'delete', 'map'),
  name: fc.nat({ max: 11 }),
  state: fc.nat({ max: 2 }),
});

it('a table of workers equals a map after any changes of any of its versions', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const versions: { table: WorkerTable<Row>; model: ReadonlyMap<string, Row> }[] = [
        { table: WorkerTable.of<Row>([]), model: new Map() },
      ];
      for (const { from, kind, name, state } of changes) {
        const { table, model } = versions[from % versions.length]!;
        const next = new Map(model);
        const row = rowOf(name, state);
        if (kind === 'set') {
          next.set(row.connection, row);
          versions.push({ table: table.set(row), model: next });
        } else if (kind === 'delete') {
          next.delete(row.connection);
          versions.push({ table: table.delete(row.connection), model: next });
        } else {
          const to = (old: Row): Row => ({ ...old, lifecycle: row.lifecycle });
          for (const [connection, old] of next) next.set(connection, to(old));
          const changed = table.map(to);
          versions.push({
            table: changed,
            model: new Map([...changed.values()].map((one) => [one.connection, one])),
          });
          expect([...changed.values()]).toEqual([...next.values()]);
        }
      }
      for (const { table, model } of versions) expectEqual(table, model);
    }),
  );
});
