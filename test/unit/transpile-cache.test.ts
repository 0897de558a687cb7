import { chmod, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { definitionFiles } from '../../src/api/definition-files.js';
import { loadDefinition } from '../../src/api/load-definition.js';
import { temporaryFolder } from '../support/lockstep.js';

const text = (name: string): string =>
  `import { defineTraining } from 'lockstep';\nexport default defineTraining({ name: '${name}' as string, model: () => { throw new Error('unused'); } });\n`;

async function project() {
  const folder = await temporaryFolder();
  const [config, cache] = [join(folder, 'lockstep.config.ts'), join(folder, 'cache')];
  await writeFile(config, text('first'));
  const name = async () => (await loadDefinition(config, cache)).values['name'];
  return { config, cache, name };
}

describe('the cache of transpiled definitions', () => {
  it('is used by the next process, unless the file has changed', async () => {
    const { config, cache, name } = await project();
    expect(await name()).toBe('first');
    // Here, where Lockstep is TypeScript itself, its own files are there as well.
    const entry = (await readdir(cache)).find((file) => file.includes('lockstep.config')) ?? '';
    const made = join(cache, entry);
    const kept = await readFile(made, 'utf8');
    // Only what is in the cache says so.
    await writeFile(made, kept.replace('first', 'from the cache'));
    expect(await name()).toBe('from the cache');
    await writeFile(config, text('second'));
    expect(await name()).toBe('second');
    // Torn: somebody else is writing it.
    await writeFile(made, (await readFile(made, 'utf8')).slice(0, -40));
    expect(await name()).toBe('second');
  });

  it.skipIf(process.getuid === undefined)(
    'is left alone where others can write, and where it can not be made',
    async () => {
      const { cache, name } = await project();
      await mkdir(cache);
      await chmod(cache, 0o777);
      expect(await name()).toBe('first');
      expect(await readdir(cache)).toEqual([]);
      await rm(cache, { recursive: true });
      await writeFile(cache, 'in the way');
      expect(await name()).toBe('first');
    },
  );

  it('has a bounded size', async () => {
    const { cache, name } = await project();
    await mkdir(cache, { mode: 0o700 });
    for (let i = 0; i <= 400; i++) await writeFile(join(cache, `old-${i}.mjs`), '');
    expect(await name()).toBe('first');
    // The files of this load, Lockstep's own among them, come after the sweep, which keeps half of 400 files.
    const old = (await readdir(cache)).filter((file) => file.startsWith('old-'));
    expect(old.length).toBeLessThanOrEqual(200);
  });

  it('is read by the search for imported files, which does without if it fails', async () => {
    const { config, cache } = await project();
    const others = ['one.ts', 'two.ts'] as const;
    for (const other of others) await writeFile(join(config, '..', other), 'export {};\n');
    await writeFile(config, `import './one.ts';\n${text('first')}`);
    await loadDefinition(config, cache);
    const imported = async (): Promise<string[]> =>
      [...(await definitionFiles(config, cache)).files.keys()].sort();
    expect(await imported()).toEqual(['lockstep.config.ts', 'one.ts']);
    const entry = (await readdir(cache)).find((file) => file.includes('lockstep.config')) ?? '';
    const made = join(cache, entry);
    await writeFile(made, (await readFile(made, 'utf8')).replace('./one.ts', './two.ts'));
    expect(await imported()).toEqual(['lockstep.config.ts', 'two.ts']);
    // The file can't be written: the link leads into a folder that does not exist.
    await rm(made);
    await symlink(join(cache, 'absent', 'file'), made);
    expect(await imported()).toEqual(['lockstep.config.ts', 'one.ts']);
  });
});
