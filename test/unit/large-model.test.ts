import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Artefact } from '../../src/shared/artefacts/artefact.js';
import { openRunStorage } from '../../src/worker/storage/run-storage.js';
import { temporaryFolder } from '../support/lockstep.js';

/** Hash of 2 GiB of zeros, by sha256sum. Node's readFile reads less than this at once. */
const bytes = 2 ** 31;
const sha256 = 'a7c744c13cc101ed66c29f672f92455547889cc586ce6d44fe76ae824958ea51';

it('a model of 2 GiB is delivered by a worker without the folder of the run', async () => {
  const folder = await temporaryFolder();
  const offered: Artefact[] = [];
  const storage = await openRunStorage({ path: join(folder, 'none'), value: '0'.repeat(32) }, (request) => {
    if (request.kind === 'upload') offered.push(request.artefact);
    return Promise.resolve({ path: '/run/model' });
  });
  await writeFile(join(folder, 'model.json'), '{}');
  const weights = await open(join(folder, 'weights.bin'), 'w');
  await weights.truncate(bytes);
  await weights.close();
  expect(await storage.deliverModel(join(folder, 'model.json'), 7)).toBe(join('/run/model', 'model.json'));
  expect(offered[0]?.files[1]).toEqual({ name: 'weights.bin', bytes, sha256 });
}, 120_000);
