import { describe, expect, it } from 'vitest';
import { prepareFolder } from '../../src/cli/runs/prepare-folder.js';
import type { DefinitionCopy } from '../../src/cli/runs/definition-copy.js';
import { temporaryFolder } from '../support/lockstep.js';

const copyWith = (contents: DefinitionCopy['contents']): DefinitionCopy =>
  ({ record: { format: 1 }, contents }) as unknown as DefinitionCopy;

describe('the preparation of a run folder', () => {
  it('warns of a definition that cannot be written', async () => {
    const out = await temporaryFolder();
    const warnings: string[] = [];
    const copy = copyWith({ files: new Map([['n'.repeat(300), Buffer.alloc(1)]]), links: new Map() });
    await prepareFolder({ out, resume: null, copy })((message) => warnings.push(message));
    expect(warnings).toEqual([expect.stringMatching(/definition can't be copied to .* \(ENAMETOOLONG\)/)]);
  });

  it('throws an error that is none of the file system', async () => {
    const out = await temporaryFolder();
    const copy = copyWith({ files: new Map([['a.ts', undefined as never]]), links: new Map() });
    const prepared = prepareFolder({ out, resume: null, copy });
    await expect(prepared(() => undefined)).rejects.toThrow(/undefined/);
  });
});
