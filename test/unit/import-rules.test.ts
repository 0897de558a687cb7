import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkImports } from '../../scripts/imports/check.js';
import { layers } from '../../scripts/imports/rules.js';
import { temporaryFolder } from '../support/lockstep.js';

const isFile = (path: string): boolean => path.endsWith('.ts');
const targetOf = (path: string): string => (isFile(path) ? path : `${path}/target.ts`);

/** Writes a source tree in which each of `files` imports the named modules. */
async function tree(files: ReadonlyMap<string, readonly string[]>): Promise<string> {
  const root = await temporaryFolder();
  await symlink(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(root, 'node_modules'));
  for (const { path } of layers) {
    await mkdir(dirname(join(root, targetOf(path))), { recursive: true });
    await writeFile(join(root, targetOf(path)), 'export const value = 1;\n');
  }
  for (const [file, modules] of files) {
    const lines = modules.map(
      (module, i) => `import * as name${i} from '${module}';\nexport const use${i} = name${i};`,
    );
    await writeFile(join(root, file), `${lines.join('\n')}\n`);
  }
  return root;
}

/** Pairs of folders where the first must not import the second. `src/index.ts` holds nothing but its exports. */
const forbidden = layers
  .filter(({ path }) => !isFile(path))
  .flatMap((from) =>
    layers
      .filter((to) => to !== from && !from.imports.includes(to.path))
      .map((to, i) => ({ from: from.path, to: to.path, file: `${from.path}/forbidden-${i}.ts` })),
  );

describe('the import rules of src', () => {
  it('refuse each import between layers that the table does not name', async () => {
    const specifier = ({ file, to }: (typeof forbidden)[number]): string => {
      const path = relative(dirname(file), targetOf(to)).replace(/\.ts$/, '.js');
      return path.startsWith('.') ? path : `./${path}`;
    };
    const root = await tree(new Map(forbidden.map((pair) => [pair.file, [specifier(pair)]])));
    expect(forbidden.length).toBeGreaterThan(80);
    expect(await checkImports(root)).toEqual(
      forbidden.map(({ file, from, to }) => `${file}: ${from} must not import ${targetOf(to)}.`).sort(),
    );
  });

  it('refuse sockets, tensors and Node in layers that may not use them', async () => {
    const root = await tree(
      new Map([
        ['src/shared/a.ts', ['zeromq']],
        ['src/coordinator/a.ts', ['@tensorflow/tfjs-core']],
        ['src/cli/a.ts', ['@tensorflow/tfjs-core', 'commander', 'node:fs']],
        ['src/dashboard/page/a.ts', ['node:fs', 'uplot']],
        ['src/shared/transport/zmq/a.ts', ['zeromq']],
      ]),
    );
    expect(await checkImports(root)).toEqual([
      'src/cli/a.ts: src/cli must not import @tensorflow/tfjs-core.',
      'src/coordinator/a.ts: src/coordinator must not import @tensorflow/tfjs-core.',
      'src/dashboard/page/a.ts: src/dashboard/page must not import node:fs.',
      'src/shared/a.ts: src/shared must not import zeromq.',
    ]);
  });

  it('let the command line name tfjs in types', async () => {
    const root = await tree(new Map());
    await writeFile(
      join(root, 'src/cli/a.ts'),
      "import type { Tensor } from '@tensorflow/tfjs-core';\nexport type A = Tensor;\n",
    );
    expect(await checkImports(root)).toEqual([]);
  });

  it('refuse import cycles (of types too) and files with too many imports', async () => {
    const root = await tree(new Map());
    const folder = join(root, 'src/worker');
    await writeFile(join(folder, 'a.ts'), "import type { B } from './b.js';\nexport type A = B | 1;\n");
    await writeFile(join(folder, 'b.ts'), "import type { A } from './a.js';\nexport type B = A | 2;\n");
    const many = Array.from({ length: 16 }, (_, i) => `c${i}`);
    for (const name of many) await writeFile(join(folder, `${name}.ts`), 'export const value = 1;\n');
    await writeFile(
      join(folder, 'd.ts'),
      many.map((name) => `export * as ${name} from './${name}.js';`).join('\n'),
    );
    expect(await checkImports(root)).toEqual([
      'src/worker/a.ts: imports src/worker/b.ts, which imports it back.',
      'src/worker/b.ts: imports src/worker/a.ts, which imports it back.',
      'src/worker/d.ts: expected at most 15 imports, got 16. Split the file.',
    ]);
  });
});
