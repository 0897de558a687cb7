import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { namedFiles } from '../suites.js';

const root = join(import.meta.dirname, '..', '..');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');

/** The projects that vitest itself would run each file in. */
async function projectsByFile(): Promise<Map<string, string[]>> {
  const args = [vitest, 'list', '--filesOnly', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  const files = new Map<string, string[]>();
  for (const { file, projectName } of JSON.parse(stdout) as { file: string; projectName: string }[]) {
    const name = relative(root, file).split(sep).join('/');
    files.set(name, [...(files.get(name) ?? []), projectName]);
  }
  return files;
}

/** The projects that a script of package.json runs. */
async function projectsOf(script: string): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  return [...(scripts[script] ?? '').matchAll(/--project (\S+)/g)].map(([, name = '']) => name);
}

describe('the suites', () => {
  let projects: Map<string, string[]>;
  beforeAll(async () => {
    projects = await projectsByFile();
  });

  it('contain every test file exactly once, and none twice on WebAssembly', async () => {
    const names = await readdir(join(root, 'test'), { recursive: true });
    const tests = names
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `test/${name.split(sep).join('/')}`);
    expect(tests.length).toBeGreaterThan(100);
    for (const file of tests) {
      const all = projects.get(file) ?? [];
      const onWasm = all.filter((name) => name.endsWith('-wasm'));
      expect([all.length - onWasm.length, onWasm.length <= 1], `${file} in ${all.join()}`).toEqual([1, true]);
    }
    expect([...projects.keys()].sort()).toEqual(tests.sort());
  });

  it('keep tensor engines and replaced modules out of the processes that the unit tests share', async () => {
    const units = [...projects].filter(([, names]) => names.includes('unit')).map(([file]) => file);
    const needsProcess = /\bengineFor\(|\bloadEngine\(|support\/in-process\.js'|\bvi\.mock\(/;
    const texts = await Promise.all(units.map(async (file) => readFile(join(root, file), 'utf8')));
    const self = 'test/unit/suites.test.ts';
    expect(units.filter((file, i) => file !== self && needsProcess.test(texts[i] ?? ''))).toEqual([]);
  });

  it('name existing files only', () => {
    expect(namedFiles.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it('are run by npm test and npm run test:all together, each once', async () => {
    const all = [...(await projectsOf('test')), ...(await projectsOf('test:all'))];
    expect(all.sort()).toEqual([...new Set([...projects.values()].flat())].sort());
    expect(await projectsOf('test:unit')).toEqual(['unit']);
  });
});
