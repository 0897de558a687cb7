import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeLease } from '../../src/launcher/lease.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { range, stepsIn } from '../support/elastic-run.js';
import { killedAfter, tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

const train = ['train', ...tinyOptions];

async function project(extra = ''): Promise<{ cwd: string; out: string }> {
  const cwd = await temporaryFolder();
  await writeTinyTraining(cwd, extra);
  return { cwd, out: join(cwd, 'runs', 'first') };
}

const names = (folder: string): Promise<string[]> => readdir(folder).then((found) => found.sort());

describe('a run folder that is named by --out', () => {
  it('is refused with status 2 if its run has finished; --fresh moves that run aside as a whole', async () => {
    const { cwd, out } = await project();
    const first = await lockstep([...train, '--out', 'runs/first'], { cwd });
    expect(first.status, first.stderr).toBe(0);
    expect((await lockstep(['export', out, '--format', 'onnx', '--engine', 'wasm'], { cwd })).status).toBe(0);
    const before = await names(out);
    const model = await readFile(join(out, 'model', 'weights.bin'));
    const again = await lockstep([...train, '--out', 'runs/first', '--seed', '2'], { cwd });
    expect(again.status).toBe(2);
    expect(again.stderr).toMatch(
      /--out .*first: expected a new or an unfinished run, got a finished run of 8 steps.*--fresh/,
    );
    expect(await names(out)).toEqual(before);
    expect(await readFile(join(out, 'model', 'weights.bin'))).toEqual(model);

    const fresh = await lockstep([...train, '--out', 'runs/first', '--seed', '2', '--fresh'], { cwd });
    expect(fresh.status, fresh.stderr).toBe(0);
    expect(stepsIn(fresh.events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await names(join(cwd, 'runs'))).toEqual(['first', 'first.1']);
    expect(await names(`${out}.1`)).toEqual(before);
    expect(await readFile(join(`${out}.1`, 'model', 'weights.bin'))).toEqual(model);
    expect(await readFile(join(out, 'model', 'weights.bin'))).not.toEqual(model);
    expect(existsSync(join(out, 'model.onnx'))).toBe(false);
  });

  it('is continued if its run has not finished, with the options of the first start', async () => {
    const { cwd, out } = await project();
    const args = [...train, '--seed', '7', '--out'];
    const whole = await lockstep([...args, join(cwd, 'whole')], { cwd });
    await killedAfter('checkpoint', 3, [...args, out], cwd);
    const rest = await lockstep([...train, '--out', out], { cwd });
    expect(rest.status, rest.stderr).toBe(0);
    const [from = 0] = rest.events.flatMap((event) => (event.event === 'resumed' ? [event.step] : []));
    expect(from).toBeGreaterThanOrEqual(3);
    expect(stepsIn(rest.events)).toEqual(range(from + 1, 8));
    const hash = ({ events }: typeof rest) =>
      events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []));
    expect(hash(whole)).toHaveLength(1);
    expect(hash(rest)).toEqual(hash(whole));
  });

  it('keeps the log of an unfinished run without a checkpoint beside the new run', async () => {
    const { cwd, out } = await project('checkpointEvery: null,');
    await killedAfter('step', 3, [...train, '--out', out], cwd);
    const log = await readFile(join(out, 'events.ndjson'), 'utf8');
    expect(log).toContain('"event":"step"');
    const next = await lockstep([...train, '--out', out], { cwd });
    expect(next.status, next.stderr).toBe(0);
    expect(stepsIn(next.events)[0]).toBe(1);
    expect(await readFile(join(`${out}.1`, 'events.ndjson'), 'utf8')).toBe(log);
  });

  it('keeps no earlier model or export beside the new model when a finished run is continued', async () => {
    const { cwd, out } = await project();
    expect((await lockstep([...train, '--out', out], { cwd })).status).toBe(0);
    for (const format of ['onnx', 'tfjs'])
      expect((await lockstep(['export', out, '--format', format, '--engine', 'wasm'], { cwd })).status).toBe(
        0,
      );
    const model = await readFile(join(out, 'model', 'weights.bin'));
    const more = await lockstep(['train', '--resume', out, '--out', out, '--epochs', '5', '--json'], { cwd });
    expect(more.status, more.stderr).toBe(0);
    expect(stepsIn(more.events)).toEqual([9, 10]);
    expect((await names(out)).filter((name) => ['model.onnx', 'tfjs'].includes(name))).toEqual([]);
    const earlier = join(out, 'earlier', 'step-000000008');
    expect(await names(earlier)).toEqual(['model', 'model.onnx', 'tfjs']);
    expect(await readFile(join(earlier, 'model', 'weights.bin'))).toEqual(model);
    expect(await readFile(join(out, 'model', 'weights.bin'))).not.toEqual(model);
  });

  it('keeps the outcome and the log of its run if a request to continue it is refused after the start of the workers', async () => {
    const { cwd, out } = await project();
    expect((await lockstep([...train, '--out', out], { cwd })).status).toBe(0);
    const log = await readFile(join(out, 'events.ndjson'), 'utf8');
    const more = ['train', '--resume', out, '--epochs', '5', '--json'];
    const refused = await lockstep(more, { cwd, env: { N: '40' } });
    expect(refused.status).toBe(2);
    expect(refused.events.find(({ event }) => event === 'error')).toMatchObject({ code: 'DATA' });
    expect(await readFile(join(out, 'events.ndjson'), 'utf8')).toBe(log);
    const listed = await lockstep(['runs', '--json'], { cwd });
    expect(JSON.parse(listed.stdout)).toMatchObject([{ outcome: 'done', steps: 8, error: null }]);

    // A request that is accepted is logged from its beginning.
    const accepted = await lockstep(more, { cwd });
    expect(accepted.status, accepted.stderr).toBe(0);
    const events = (await readFile(join(out, 'events.ndjson'), 'utf8')).slice(log.length).trim().split('\n');
    expect(events.map((line) => JSON.parse(line) as unknown)).toEqual(accepted.events);
  });

  it('may be a project folder: --fresh leaves the files of the project where they are', async () => {
    const { cwd } = await project();
    expect((await lockstep([...train, '--out', '.'], { cwd })).status).toBe(0);
    const fresh = await lockstep([...train, '--out', '.', '--fresh'], { cwd });
    expect(fresh.status, fresh.stderr).toBe(0);
    expect(await names(`${cwd}.1`)).toEqual(
      expect.arrayContaining(['checkpoints', 'events.ndjson', 'model']),
    );
    expect(existsSync(join(`${cwd}.1`, 'lockstep.config.js'))).toBe(false);
  });

  it('is not made or changed by options that contradict each other', async () => {
    const { cwd, out } = await project();
    for (const [options, message] of [
      [['--fresh'], /--fresh: expected --out/],
      [['--fresh', '--out', out, '--resume', 'auto'], /--fresh: expected no --resume of the same run/],
      [['--out', out, '--epochs', '0'], /epochs:/],
    ] as const) {
      const { status, stderr } = await lockstep(['train', ...options], { cwd });
      expect(stderr).toMatch(message);
      expect(status).toBe(2);
      expect(existsSync(out)).toBe(false);
    }
  });
});

describe('a run without --out', () => {
  it('has a folder of its own, also of four that start at once', async () => {
    const { cwd } = await project();
    const ended = await Promise.all(Array.from({ length: 4 }, () => new Lockstep(train, { cwd }).ended));
    for (const { status, stderr } of ended) expect(status, stderr).toBe(0);
    const runs = await names(join(cwd, 'runs'));
    expect(runs).toHaveLength(4);
    for (const run of runs) expect(await names(join(cwd, 'runs', run))).toContain('model');
  });
});

describe('import --out', () => {
  it('refuses the folder of a model, and moves it aside with --fresh', async () => {
    const { cwd, out } = await project();
    await mkdir(join(cwd, 'weights'));
    expect((await lockstep([...train, '--out', out], { cwd })).status).toBe(0);
    const torch = [
      'export',
      out,
      '--format',
      'safetensors',
      '--layout',
      'pytorch',
      '--out',
      'torch.safetensors',
    ];
    const exported = await lockstep([...torch, '--engine', 'wasm'], { cwd });
    expect(exported.status, exported.stderr).toBe(0);
    const args = ['import', 'torch.safetensors', '--engine', 'wasm', '--out', out];
    const refused = await lockstep(args, { cwd });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/--out .*: expected a new folder, got one with a run or a model/);
    await writeFile(join(out, 'mine.txt'), 'kept');
    const lease = await takeLease({ out, host: hostname() });
    const led = await lockstep([...args, '--fresh'], { cwd });
    expect(led.status).toBe(2);
    expect(led.stderr).toMatch(new RegExp(`Run .* is led by pid ${process.pid} on .* already`));
    await lease.release();
    const fresh = await lockstep([...args, '--fresh'], { cwd });
    expect(fresh.status, fresh.stderr).toBe(0);
    expect(await names(out)).toEqual(['config.json', 'model']);
    expect(await readFile(join(`${out}.1`, 'mine.txt'), 'utf8')).toBe('kept');
  });
});
