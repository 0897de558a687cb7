import { describe, expect, it } from 'vitest';
import { adapterNumber } from '../../src/cli/engine/worker-device.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { ConfigError, EngineError } from '../../src/shared/errors.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { identifierOf, nameFor, namesIn, selectionFor } from '../../src/worker/engine/webgpu/adapters.js';

/** The error of Dawn 0.6.2 on a machine with two software drivers. */
const message = `no adapter with backend 'vulkan' and name 'none' found
Available adapters:
 * backend: 'vulkan', name: 'SwiftShader Device (Subzero)'
 * backend: 'vulkan', name: 'llvmpipe (LLVM 15.0.6, 256 bits)'`;

const software = ['SwiftShader Device (Subzero)', 'llvmpipe (LLVM 15.0.6, 256 bits)'];
const [intel, nvidia] = ['Intel(R) UHD Graphics 770 (ADL-S GT1)', 'NVIDIA GeForce RTX 4090'];
const preferring = (name: string) => (number: number, names: readonly string[]) =>
  nameFor(number, names, identifierOf(name));

describe('the adapters of a host', () => {
  it("are read from Dawn's error, and have WebGPU's identifiers", () => {
    expect(namesIn(message)).toEqual(software);
    expect(namesIn('no suitable backends found')).toEqual([]);
    expect(software.map(identifierOf)).toEqual([
      'swiftshader-device-subzero-',
      'llvmpipe-llvm-15-0-6-256-bits-',
    ]);
  });

  it('are shared by all workers if there is one GPU, with or without software adapters', () => {
    for (const number of [0, 1, 5]) {
      expect(preferring(nvidia)(number, [nvidia])).toBeUndefined();
      expect(preferring(nvidia)(number, [...software, nvidia])).toBeUndefined();
    }
  });

  it('are given to one worker each, the preferred one first', () => {
    const chosen = [0, 1, 2, 3].map((number) => preferring(nvidia)(number, [intel, ...software, nvidia]));
    expect(chosen).toEqual([nvidia, intel, nvidia, intel]);
    expect([0, 1].map((number) => preferring('SwiftShader Device (Subzero)')(number, software))).toEqual(
      software,
    );
  });

  it('are refused with their names if Dawn cannot tell them apart', () => {
    expect(() => preferring(nvidia)(1, [nvidia, nvidia])).toThrow(EngineError);
    expect(() => preferring(nvidia)(1, [nvidia, nvidia])).toThrow(
      /different names.*got "NVIDIA GeForce RTX 4090" and "NVIDIA GeForce RTX 4090".*LOCKSTEP_WEBGPU_ADAPTERS/,
    );
    // Dawn takes the first adapter whose name contains the given one.
    const [plain, ti] = ['NVIDIA GeForce RTX 3090', 'NVIDIA GeForce RTX 3090 Ti'];
    expect([0, 1].map((number) => preferring(plain)(number, [plain, ti]))).toEqual([plain, ti]);
    expect(preferring(ti)(0, [ti, plain])).toBe(ti);
    expect(() => preferring(ti)(1, [ti, plain])).toThrow(/got "NVIDIA GeForce RTX 3090 Ti" and/);
  });
});

describe('LOCKSTEP_WEBGPU_ADAPTERS', () => {
  const list =
    'name=RTX 4090 ; MESA_VK_DEVICE_SELECT=1002:744c!;VK_DRIVER_FILES=/a.json:/b.json;VK_LOADER_DEVICE_SELECT=0x10de:0x2684';

  it('has an entry for each worker: a name, or a variable of the driver', () => {
    expect([0, 1, 2, 3].map((number) => selectionFor(number, list, {}))).toEqual([
      { choice: { kind: 'name', name: 'RTX 4090' }, variables: {} },
      { choice: { kind: 'preferred' }, variables: { MESA_VK_DEVICE_SELECT: '1002:744c!' } },
      { choice: { kind: 'preferred' }, variables: { VK_DRIVER_FILES: '/a.json:/b.json' } },
      { choice: { kind: 'preferred' }, variables: { VK_LOADER_DEVICE_SELECT: '0x10de:0x2684' } },
    ]);
    expect(() => selectionFor(4, list, {})).toThrow(/each worker of this host, got 4 and the worker 5/);
  });

  it.each(['', 'name=', 'LD_PRELOAD=/x.so', 'name=a;;', '0,1'])('is refused as %j', (text) => {
    expect(() => selectionFor(0, text, {})).toThrow(ConfigError);
    expect(() => selectionFor(0, text, {})).toThrow(/expected entries such as name=TEXT/);
  });

  it('is not needed if the process has a variable of the driver, which then takes precedence over its number', () => {
    for (const name of ['MESA_VK_DEVICE_SELECT', 'VK_LOADER_DEVICE_SELECT', 'DRI_PRIME'])
      expect(selectionFor(1, undefined, { [name]: '1' })).toEqual({
        choice: { kind: 'preferred' },
        variables: {},
      });
    expect(selectionFor(1, undefined, { DRI_PRIME: '', VK_DRIVER_FILES: '/a.json' })).toEqual({
      choice: { kind: 'number', number: 1 },
      variables: {},
    });
  });

  it('sets the default number of workers', () => {
    const config = runConfigSchema.parse({ engine: 'webgpu' });
    expect(resolveConfig(config, { cores: 8, gpus: [0, 1], adapters: 4 }).workers).toBe(4);
    expect(resolveConfig(config, { cores: 8, gpus: [0, 1] }).workers).toBe(1);
  });
});

describe('--device of a worker that was started by hand', () => {
  it('is the number of an adapter with the engine webgpu, and by default the number of the worker', () => {
    expect(adapterNumber({ engine: 'webgpu' }, undefined, 2)).toBe(2);
    expect(adapterNumber({ engine: 'webgpu' }, '1', 2)).toBe(1);
    expect(() => adapterNumber({ engine: 'webgpu' }, 'cpu', 2)).toThrow(
      /expected the number of an adapter.*"cpu"/,
    );
    expect(adapterNumber({ engine: 'tensorflow' }, 'cpu', 2)).toBe(2);
  });
});
