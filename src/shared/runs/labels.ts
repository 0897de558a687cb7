/** Tags and a note that a person gives a run, in `labels.json` in the run's folder. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../files/write-whole.js';

export const labelsName = 'labels.json';

export const tagPattern = /^[\w.-]{1,64}$/;

const labelsSchema = z.strictObject({
  tags: z.array(z.string().regex(tagPattern)).max(64),
  note: z.string().max(4096).nullable(),
});

export type RunLabels = Readonly<z.infer<typeof labelsSchema>>;

/** Returns no tags and no note if the run has no such file, or one that is not valid. */
export async function readLabels(run: string): Promise<RunLabels> {
  try {
    return labelsSchema.parse(JSON.parse(await readFile(join(run, labelsName), 'utf8')));
  } catch {
    return { tags: [], note: null };
  }
}

/** Replaces the labels of a run. @throws the file system's error */
export async function writeLabels(run: string, labels: RunLabels): Promise<void> {
  await writeFileAtomically(join(run, labelsName), `${JSON.stringify(labels, null, 2)}\n`);
}
