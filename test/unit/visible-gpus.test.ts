import { describe, expect, it } from 'vitest';
import { visibleGpus } from '../../src/cli/environment/visible-gpus.js';

/** The output of nvidia-smi on a machine with three GPUs. */
const listed = ['0, GPU-8f3c-1', '1, GPU-8f3d-2', '2, GPU-77aa-3', ''].join('\n');

describe('the GPUs that a process may use', () => {
  it.each([
    [undefined, [0, 1, 2]],
    ['2', [2]],
    ['2,0', [2, 0]],
    ['1, 2', [1, 2]],
    ['GPU-77aa-3,GPU-8f3d', [2, 1]],
    ['', []],
    ['-1', []],
    ['NoDevFiles', []],
  ])('with CUDA_VISIBLE_DEVICES=%j are %j', (variable, gpus) => {
    expect(visibleGpus(listed, variable)).toEqual(gpus);
  });

  it('are those of the driver without UUIDs, and none without a driver', () => {
    expect(visibleGpus('0\n1\n', '1')).toEqual([1]);
    expect(visibleGpus('', '1')).toEqual([]);
  });

  it.each(['3', '0,x', 'MIG-8f3c', 'GPU-9'])('are refused with CUDA_VISIBLE_DEVICES=%s', (variable) => {
    expect(() => visibleGpus(listed, variable)).toThrow(
      /CUDA_VISIBLE_DEVICES: expected numbers of the GPUs that nvidia-smi lists \(0, 1, 2\), or their UUIDs, got "/,
    );
  });
});
