/** Help for newcomers: help with examples, suggestions, completion, init, doctor. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { completionScript } from '../../src/cli/completion/completion.js';
import { buildProgram } from '../../src/cli/program.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const run = promisify(execFile);
const program = buildProgram(() => undefined);

/** Every command that does something. */
function leaves(command: Command, path: readonly string[] = []): (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((inner) => leaves(inner, [...path, inner.name()]));
}

describe('--help', () => {
  it.each(leaves(program))('describes %s and each of its options, and gives an example', (path, command) => {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part) });
    command.outputHelp();
    expect(command.description()).not.toBe('');
    for (const option of command.options) expect(option.description !== '' || option.hidden).toBe(true);
    if (path !== 'doctor') expect(text).toMatch(new RegExp(`Examples:\\n  lockstep ${path}`));
  });

  it('suggests a similar name for a misspelt one', async () => {
    const command = await lockstep(['trian']);
    expect(command).toMatchObject({ status: 2 });
    expect(command.stderr).toMatch(/unknown command 'trian'[^]*Did you mean train\?/);
    const option = await lockstep(['train', '--epoch', '1']);
    expect(option.stderr).toMatch(/unknown option '--epoch'[^]*Did you mean --epochs\?/);
  });
});

describe('completion', () => {
  /** Returns bash's completions of these words, the last of which is being typed. */
  async function offered(...words: string[]): Promise<string[]> {
    const folder = await temporaryFolder();
    const script = join(folder, 'lockstep.bash');
    await writeFile(script, completionScript(program, 'bash'));
    const quoted = ['lockstep', ...words].map((word) => `'${word}'`).join(' ');
    const command = `source ${script}; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _lockstep; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['--norc', '-c', command], { cwd: folder });
    return stdout.split('\n').filter(Boolean);
  }

  it('offers commands, options, values and file names in bash', async () => {
    expect(await offered('e')).toEqual(expect.arrayContaining(['eval', 'export', 'engine']));
    expect(await offered('engine', '')).toEqual(expect.arrayContaining(['install', 'status']));
    expect(await offered('engine', 'install', '--c')).toEqual(['--cuda']);
    expect(await offered('export', 'runs/x', '--format', 's')).toEqual(['safetensors', 'savedmodel']);
    expect(await offered('train', '--ep')).toEqual(['--epochs']);
    expect(await offered('predict', 'lock')).toEqual(['lockstep.bash']);
    expect(await offered('train', '--launched')).toEqual([]);
  });

  for (const shell of ['zsh', 'fish'] as const) {
    const found = ['/bin', '/usr/bin'].some((folder) => existsSync(join(folder, shell)));
    it.skipIf(!found)(
      `is a script that ${shell} reads${found ? '' : ` (skipped: no ${shell} here)`}`,
      async () => {
        const file = join(await temporaryFolder(), 'script');
        await writeFile(file, completionScript(program, shell));
        await run(shell, ['-n', file]);
      },
    );
  }
});

describe('lockstep init', () => {
  it('writes a project that trains at once, and overwrites no file', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'tsconfig.json'), '{"mine":true}');
    const first = await lockstep(['init'], { cwd: folder });
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(first.stdout).toMatch(/Written: .*lockstep\.config\.ts.*Next:\n.*npm install\n/s);
    expect((await readdir(folder)).sort()).toEqual([
      '.gitignore',
      'digits',
      'lockstep.config.ts',
      'package.json',
      'tsconfig.json',
    ]);
    expect(await readFile(join(folder, 'tsconfig.json'), 'utf8')).toBe('{"mine":true}');
    const again = await lockstep(['init', '--json'], { cwd: folder });
    expect(JSON.parse(again.stdout)).toEqual({ event: 'init', folder, written: [], completed: [] });

    const args = [
      '--max-steps',
      '40',
      '--evaluate',
      'none',
      '--out',
      'runs/first',
      '--json',
      '--workers',
      '1',
    ];
    const trained = await lockstep(['train', ...args], { cwd: folder });
    expect(trained.status).toBe(0);
    expect(trained.events.find(({ event }) => event === 'run')).toMatchObject({
      config: { name: 'my-first-model' },
    });
    const predicted = await lockstep(['predict', 'runs/first', 'digits/seven.png', '--json'], {
      cwd: folder,
    });
    expect(JSON.parse(predicted.stdout)).toMatchObject({ file: 'digits/seven.png', label: 7 });
  });

  it('adds what a package.json lacks, keeps its values, and refuses a damaged one', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'package.json');
    await writeFile(
      file,
      '{"name":"mine","scripts":{"train":"own"},"dependencies":{"lockstep":"1","sharp":"2"}}',
    );
    const { stdout } = await lockstep(['init'], { cwd: folder });
    expect(stdout).toMatch(/^Added to package.json: type, scripts.check, devDependencies.typescript$/m);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      name: 'mine',
      scripts: { train: 'own', check: 'tsc' },
      dependencies: { lockstep: '1', sharp: '2' },
      type: 'module',
      devDependencies: { typescript: '^5.9.0' },
    });
    await writeFile(file, '{');
    const refused = await lockstep(['init'], { cwd: folder });
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/package.json: expected a JSON object/) as string,
    });
  });
});

describe('lockstep data mnist', () => {
  it('verifies the files that are there, and needs a project where none are', async () => {
    const found = await lockstep(['data', 'mnist', '--json'], { cwd: await temporaryFolder() });
    expect(JSON.parse(found.stdout)).toMatchObject({
      event: 'data',
      name: 'mnist',
      train: 60_000,
      test: 10_000,
    });
    const refused = await lockstep(['data', 'mnist', '--from', 'none.tgz'], { cwd: await temporaryFolder() });
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/expected a project with a package.json/) as string,
    });
  });
});

describe('lockstep doctor', () => {
  interface Report {
    readonly findings: readonly { readonly name: string; readonly state: string; readonly advice?: string }[];
  }
  const stateOf = ({ findings }: Report, name: string): string | undefined =>
    findings.find((finding) => finding.name === name)?.state;

  it('reports that this machine is ready, or the remedy for what is missing', async () => {
    const good = await lockstep(['doctor', '--json']);
    expect(good).toMatchObject({ status: 0, stderr: '' });
    const report = JSON.parse(good.stdout) as Report;
    expect(stateOf(report, 'Node')).toBe('ok');
    expect(stateOf(report, 'Engine')).toBe('ok');
    for (const { state, advice } of report.findings) expect(state === 'ok' || Boolean(advice)).toBe(true);

    const env = { XDG_CACHE_HOME: await temporaryFolder(), TMPDIR: '/nowhere', PATH: '/nowhere' };
    const bad = await lockstep(['doctor'], { env });
    expect(bad.status).toBe(1);
    expect(bad.stdout).toMatch(/^warn Engine .*\n +-> run lockstep engine install$/m);
    expect(bad.stdout).toMatch(/^warn Build tools +no Python with pip and a C\+\+ compiler$/m);
    expect(bad.stdout).toMatch(/^FAIL Sockets .*\/nowhere can't be written\n +-> set TMPDIR/m);
  });
});
