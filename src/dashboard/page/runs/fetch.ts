/** Requests to the server for runs. */

import type { RunSummary } from '../../../shared/runs/run-list.js';
import type { HistogramsAnswer, RunUpdate } from '../../run-view/run-update.js';
import { RunData } from '../run-data.js';

export async function fetchRuns(): Promise<readonly RunSummary[]> {
  return (await fetched('/api/runs')).json() as Promise<readonly RunSummary[]>;
}

export interface CurrentRuns {
  /** The run that trains now; null if there is none. */
  readonly live: string | null;
  readonly newest: string | null;
  /** The requests to the live run that this user may send. */
  readonly control: 'none' | 'token' | 'permitted';
}

export async function fetchCurrent(): Promise<CurrentRuns> {
  return (await fetched('/api/current')).json() as Promise<CurrentRuns>;
}

export async function fetchRun(name: string): Promise<RunData> {
  const update = (await (await fetched(pathOf(name))).json()) as RunUpdate;
  const data = new RunData(name);
  data.apply(update);
  return data;
}

/** @param tensor name of the tensor with its kind; empty for the first one */
export async function fetchHistograms(run: string, tensor: string): Promise<HistogramsAnswer> {
  const query = new URLSearchParams({ tensor });
  const response = await fetched(`${pathOf(run)}/histograms?${query.toString()}`);
  return response.json() as Promise<HistogramsAnswer>;
}

const pathOf = (run: string): string => `/api/runs/${encodeURIComponent(run)}`;

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}
