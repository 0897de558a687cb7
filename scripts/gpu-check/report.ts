/** The results of the stages in results.json and table.txt, both written anew after each stage. */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Row } from './stage.js';

export interface StageResult {
  readonly name: string;
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Reason of a failure or of an omission. */
  readonly reason?: string;
  readonly rows: readonly Row[];
}

export class Report {
  readonly #folder: string;
  readonly #about: readonly Row[];
  readonly #results: StageResult[] = [];

  constructor(folder: string, about: readonly Row[]) {
    this.#folder = folder;
    this.#about = about;
    mkdirSync(folder, { recursive: true });
    this.#flush();
  }

  add(result: StageResult): void {
    this.#results.push(result);
    this.#flush();
  }

  get hasFailed(): boolean {
    return this.#results.some(({ state }) => state === 'failed');
  }

  #flush(): void {
    const json = { version: 1, about: Object.fromEntries(this.#about), stages: this.#results };
    this.#write('results.json', `${JSON.stringify(json, undefined, 2)}\n`);
    this.#write('table.txt', tableOf(this.#about, this.#results));
  }

  /** Replaces a file as a whole, so that an interrupted check leaves the last complete one. */
  #write(name: string, text: string): void {
    const file = path.join(this.#folder, name);
    writeFileSync(`${file}.draft`, text);
    renameSync(`${file}.draft`, file);
  }
}

/** Formats the results for people. */
export function tableOf(about: readonly Row[], results: readonly StageResult[]): string {
  const lines = about.map(([name, value]) => `${name.padEnd(14)} ${value}`);
  for (const { title, state, seconds, reason, rows } of results) {
    lines.push(
      '',
      `${state.toUpperCase().padEnd(8)}${title} (${seconds.toFixed(1)} s)${reason === undefined ? '' : `: ${reason}`}`,
    );
    const width = Math.max(...rows.map(([name]) => name.length), 0);
    for (const [name, value] of rows) lines.push(`        ${name.padEnd(width)}  ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
