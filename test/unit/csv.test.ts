import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { csv, type CsvOptions, type DataSplit, type TrainingData } from '../../src/index.js';
import { runConfigSchema, type ResolvedConfig } from '../../src/shared/config/run-config.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/shared/protocol/codec.js';
import { protocolVersion, type CoordinatorMessage } from '../../src/shared/protocol/messages.js';
import { readSamples, type Samples } from '../../src/worker/data/batch-reader.js';
import { temporaryFolder } from '../support/lockstep.js';

let train = '';
let test = '';
beforeEach(async () => {
  const folder = await temporaryFolder();
  [train, test] = [join(folder, 'train.csv'), join(folder, 'test.csv')];
});

type Options = Partial<CsvOptions> & Readonly<Record<string, unknown>>;

/** Loads a training and a test file whose last column is `price`. */
async function load(text: string | Buffer, options: Options = {}, testText = text): Promise<TrainingData> {
  await writeFile(train, text);
  await writeFile(test, testText);
  return csv({ train, test, targets: ['price'], ...options }).load();
}

const all = async (split: DataSplit): Promise<Samples> =>
  readSamples(
    split,
    Int32Array.from({ length: split.count }, (_, i) => i),
  );
const targetsOf = async ({ train: split }: TrainingData): Promise<number[]> => [
  ...(await all(split)).targets[0]!,
];
const inputsOf = async ({ train: split }: TrainingData): Promise<number[]> => [
  ...(await all(split)).inputs[0]!,
];

describe('a cell of a column of numbers', () => {
  it.each([
    ['empty', '', /an empty cell\. Correct the cell, or set `missing` .* 'mean' or 'dropRow'/],
    ['NA', 'NA', /got "NA"\. Correct the cell, or set `missing`/],
    ['NaN', 'NaN', /got "NaN"/],
    [
      'beyond float64',
      '1e400',
      /expected a number in the range of float32, got "1e400"\. Correct the cell\./,
    ],
    ['beyond float32', '4e38', /expected a number in the range of float32, got "4e38"/],
    ['written with a decimal comma', '"5,5"', /expected a number, got "5,5"\. .* set `decimal` to ','/],
    [
      'text',
      'cheap',
      /expected a number, got "cheap"\. Correct the cell, or name the column in `categories`/,
    ],
    ['hexadecimal', '0x10', /expected a number, got "0x10"/],
    ['infinite', 'Infinity', /expected a number, got "Infinity"/],
    ['a number with a unit', '5 m', /expected a number, got "5 m"/],
  ])('that is %s is refused with file, line and column', async (_, cell, message) => {
    const inInput = load(`area,price\n1,2\n${cell},4\n5,6\n`);
    await expect(inInput).rejects.toThrow(message);
    await expect(inInput).rejects.toThrow(`${train}, line 3, column "area": `);
    const inTarget = load(`area,price\n1,2\n3,4\n5,${cell}\n`);
    await expect(inTarget).rejects.toThrow(`${train}, line 4, column "price": expected a number`);
    const inTest = load('area,price\n1,2\n3,4\n', {}, `area,price\n${cell},4\n`);
    await expect(inTest).rejects.toThrow(`${test}, line 2, column "area": expected a number`);
  });

  it('does not make the column a category if every cell is written with a decimal comma', async () => {
    const text = 'area;price\n50,5;200\n51,5;203\n';
    await expect(load(text, { delimiter: ';' })).rejects.toThrow(
      /line 2, column "area": .* got "50,5"\. .*decimal/,
    );
    const data = await load(text, { delimiter: ';', decimal: ',' });
    expect(await inputsOf(data)).toEqual([-1, 1]); // mean 51, deviation 0.5
    await expect(load('area;price\n1.234,5;2\n', { delimiter: ';', decimal: ',' })).rejects.toThrow(
      /got "1\.234,5"/,
    );
  });

  it('may have a sign, an exponent, or no digit before or after the point', async () => {
    const texts = ['+1', '-2.5', '.5', '3.', '1e2', '-1E-2'];
    const data = await load(`area,price\n${texts.map((text) => `1,${text}`).join('\n')}\n`);
    expect(await targetsOf(data)).toEqual([1, -2.5, 0.5, 3, 100, Math.fround(-0.01)]);
  });
});

describe('missing values', () => {
  const text = 'area,kind,price\n1,a,10\nNA,b,20\n3,,30\n8,b,40\n';

  it('leave out their rows, with a note, under dropRow', async () => {
    const data = await load(text, { missing: 'dropRow' }, 'area,kind,price\n5,b,50\n');
    expect(await targetsOf(data)).toEqual([10, 40]);
    expect(await inputsOf(data)).toEqual([-1, 1, 0, 1, 0, 1]); // mean 4.5, deviation 3.5
    expect(data.notes).toEqual([
      `${train}: 2 of 4 rows are left out because they lack a value (lines 3, 4).`,
    ]);
    expect(data.train.origin?.(1)).toBe(`${train}, line 5`);
  });

  it.each([
    ['mean', 4], // The present values are 1, 3 and 8.
    ['median', 3],
    [{ value: 10 }, 10],
  ] as const)('become the %s of the training rows', async (rule, expected) => {
    const missing = { area: rule, kind: { value: 'unknown' } };
    const data = await load(text, { missing });
    const deviation = Math.sqrt(26 / 3); // The squares of -3, -1 and 4, divided by 3.
    const inputs = await inputsOf(data);
    expect(inputs[4]).toBeCloseTo((expected - 4) / deviation, 6);
    expect(inputs[0]).toBeCloseTo(-3 / deviation, 6);
    expect(inputs.slice(9, 12)).toEqual([0, 0, 1]); // a, b, unknown
    expect(data.notes).toEqual([
      `${train}, column "area": 2 missing values are replaced by ${expected}.`,
      `${train}, column "kind": 2 missing values are replaced by unknown.`,
    ]);
  });

  it('are never invented for a target', async () => {
    const lacking = 'area,price\n1,2\n3,\n';
    await expect(load(lacking, { missing: 'mean' })).rejects.toThrow(
      /line 3, column "price": expected a number, got an empty cell\. .* 'dropRow'/,
    );
    await expect(load(lacking, { missing: { price: 'mean' } })).rejects.toThrow(
      /for missing values of a target/,
    );
  });

  it('are refused in a category, except for a text such as NA in a declared one', async () => {
    const kinds = 'kind,price\nNA,1\ntwo,2\n';
    await expect(load(kinds)).rejects.toThrow(
      /line 2, column "kind": expected a category, got "NA"\. .*categories/,
    );
    expect(await inputsOf(await load(kinds, { categories: ['kind'] }))).toEqual([1, 0, 0, 1]);
    await expect(load('kind,price\n,1\ntwo,2\n', { categories: ['kind'] })).rejects.toThrow(
      /got an empty cell/,
    );
  });
});

describe('categories', () => {
  it('are those of the training rows; another one in the test set is refused', async () => {
    const loading = load('kind,price\na,1\nb,2\n', {}, 'kind,price\nb,1\nc,1\n');
    await expect(loading).rejects.toThrow(
      `${test}, line 3, column "kind": expected one of the training set's 2 values (a, b), got "c".`,
    );
  });

  it('may be listed, so that they do not depend on the training rows', async () => {
    const categories = { kind: ['c', 'b', 'a'] };
    const data = await load('kind,price\na,1\nb,2\n', { categories }, 'kind,price\nc,1\n');
    expect(await inputsOf(data)).toEqual([0, 0, 1, 0, 1, 0]);
    await expect(load('kind,price\nd,1\n', { categories })).rejects.toThrow(/3 values \(c, b, a\), got "d"/);
  });

  it('may be numbers if they are declared', async () => {
    const data = await load('zone,price\n10,x\n9,y\n', { categories: ['zone'] });
    expect(await inputsOf(data)).toEqual([1, 0, 0, 1]);
    expect(data.train.targets[0]?.classNames).toEqual(['x', 'y']);
    expect(await targetsOf(data)).toEqual([0, 1]);
  });
});

describe('many categories', () => {
  const rowsOf = (count: number): string =>
    `area,code,price\n${Array.from({ length: count }, (_, i) => `${i},${String(i).padStart(97, 'x')},1\n`).join('')}`;

  it('are refused if a resumed run could not send them to its workers', async () => {
    // A name with its quotes and comma has 100 bytes.
    await expect(load(rowsOf(5_300), {}, rowsOf(1))).rejects.toThrow(
      /train\.csv, column "code": expected columns whose encodings have at most 524288 bytes together, got 530\d{3}, of which the 5300 categories/,
    );
  });

  it('fit into the message to a worker of a resumed run below that', async () => {
    const { preprocessing = null } = await load(rowsOf(5_200), {}, rowsOf(1));
    const welcome: CoordinatorMessage = {
      type: 'welcome',
      protocol: protocolVersion,
      runId: '6f1c1d9e-3d0a-4a53-9d0e-6a3a2b0c7d11',
      config: runConfigSchema.parse({ shards: 1, threads: 1, workers: 1, minWorkers: 1 }) as ResolvedConfig,
      definition: { path: '/config', sha256: '0'.repeat(64), entry: 'config', files: {} },
      preprocessing,
      socketDirectory: null,
    };
    expect(decodeCoordinatorMessage(encodeMessage(welcome), 'the coordinator')).toMatchObject({
      preprocessing,
    });
  });

  it('are numbered in the order of their names', async () => {
    const data = await load('kind,price\nc,10\na,11\nb,12\n', { inputs: [['price']], targets: ['kind'] });
    expect(await targetsOf(data)).toEqual([2, 0, 1]);
  });
});

describe('the text of a file', () => {
  const rows = [
    [1, 2],
    [3, 4],
  ];
  const prices = rows.map(([, price]) => price);

  it.each([
    ['CRLF line ends', 'area,price\r\n1,2\r\n3,4\r\n'],
    ['no newline at its end', 'area,price\n1,2\n3,4'],
    ['blank lines', '\narea,price\n\n1,2\n3,4\n\n'],
    ['blanks around cells', ' area , price \n 1 , 2 \n3,4\n'],
    ['quoted cells', '"area","price"\n"1","2"\n3,4\n'],
    ['a byte order mark', '\uFEFFarea,price\n1,2\n3,4\n'],
    ['UTF-16 little endian', Buffer.from('\uFEFFarea,price\n1,2\n3,4\n', 'utf16le')],
    ['UTF-16 big endian', Buffer.from('\uFEFFarea,price\n1,2\n3,4\n', 'utf16le').swap16()],
  ])('may have %s', async (_, text) => {
    const data = await load(text);
    expect(await targetsOf(data)).toEqual(prices);
    expect(await inputsOf(data)).toEqual([-1, 1]);
  });

  it('may have delimiters, quotes and line breaks between quotes; lines are counted with them', async () => {
    const text = 'note,price\n"a ""b"", c\nd",1\nplain,2\n';
    const data = await load(text);
    expect(data.train.inputs[0]?.shape).toEqual([2]);
    expect(data.train.origin?.(1)).toBe(`${train}, line 4`);
    await expect(load(`${text}other,x\n`)).rejects.toThrow(/line 5, column "price"/);
  });

  it('keeps empty cells at the start of a line with tabs', async () => {
    const text = 'area\trooms\tprice\n\t1\t2\n3\t4\t5\n';
    await expect(load(text, { delimiter: '\t' })).rejects.toThrow(/line 2, column "area": .* an empty cell/);
  });

  it.each([
    ['empty', '', /expected a header line and rows, got an empty file/],
    ['a header alone', 'area,price\n', /expected rows after the header, got none/],
    ['a short row', 'area,price\n1,2\n3\n', /line 3: expected 2 cells as in the header, got 1/],
    ['a long row', 'area,price\n1,2,3\n', /line 2: expected 2 cells as in the header, got 3/],
    [
      'a duplicate header',
      'area,area,price\n1,2,3\n',
      /line 1: .* got "area" in columns 1 and 2\. Rename one/,
    ],
    ['an unnamed column', 'area,,price\n1,2,3\n', /expected a name for each column, got none for column 2/],
    ['an open quote', 'area,price\n"1,2\n', /Quote Not Closed/],
    ['another delimiter', 'area;price\n1;2\n', /got the header "area;price"\. Set `delimiter` to ";"/],
    ['a lost letter', 'area,price\n1,2\nk\uFFFDse,3\n', /line 3: .* replacement character U\+FFFD/],
  ])('is refused if it is or has %s', async (_, text, message) => {
    await expect(load(text)).rejects.toThrow(message);
  });
});

describe('the encoding of a file', () => {
  // "Käse" and "5 €" in windows-1252.
  const bytes = Buffer.from([
    ...Buffer.from('kind,price\nK'),
    0xe4,
    ...Buffer.from('se,1\n'),
    0x80,
    ...Buffer.from(',2\n'),
  ]);

  it('is UTF-8 unless it is named; other bytes are refused with their line', async () => {
    await expect(load(bytes)).rejects.toThrow(
      `${train}, line 2: expected UTF-8, got the byte 0xe4. Set \`encoding\`, for example to 'windows-1252'`,
    );
    const data = await load(bytes, { encoding: 'windows-1252', targets: ['kind'], inputs: [['price']] });
    expect(data.train.targets[0]?.classNames).toEqual(['Käse', '€']);
  });

  it('has a character for every byte, else the byte is refused', async () => {
    await expect(load(bytes, { encoding: 'latin1' })).rejects.toThrow(
      /line 3: expected latin1, got the byte 0x80, which it does not define\. Set `encoding` to 'windows-1252'/,
    );
    const undefinedByte = Buffer.from([...Buffer.from('kind,price\n'), 0x81, ...Buffer.from(',1\n')]);
    await expect(load(undefinedByte, { encoding: 'windows-1252' })).rejects.toThrow(/line 2: .* 0x81/);
  });

  it('is refused if it is UTF-16 without a mark, or contradicts the mark', async () => {
    const wide = Buffer.from('kind,price\na,1\n', 'utf16le');
    await expect(load(wide)).rejects.toThrow(/a zero byte at byte 1\. Set `encoding` to 'utf-16le'/);
    const data = await load(wide, { encoding: 'utf-16le' });
    expect(await targetsOf(data)).toEqual([1]);
    const marked = Buffer.from('\uFEFFkind,price\na,1\n', 'utf16le');
    await expect(load(marked, { encoding: 'latin1' })).rejects.toThrow(
      /expected latin1, got the byte order mark of utf-16le/,
    );
    await expect(load(marked.subarray(0, -1))).rejects.toThrow(/an odd number of bytes/);
  });
});

describe('options', () => {
  it.each<[Options, RegExp]>([
    [{ seperator: ';' }, /csv: expected options among .*, got "seperator"/],
    [{ testEvery: 3 }, /csv: testEvery: expected nothing beside `test`, got 3/],
    [{ delimiter: '' }, /csv: delimiter: .* got the text ""/],
    [{ decimal: ';' as ',' }, /csv: decimal: expected '\.' or ','/],
    [{ encoding: 'ascii' as 'utf-8' }, /csv: encoding: expected one of utf-8, .* got the text "ascii"/],
    [{ targets: [] }, /csv: targets: expected a list of different column names/],
    [
      { inputs: [['area', 'price']] },
      /csv: inputs: expected columns other than the targets, got the text "price"/,
    ],
    [{ inputs: [['area', 'area']] }, /csv: inputs: expected a list of lists/],
    [{ inputs: [['weight']] }, /expected a column "weight", got area, price/],
    [
      { categories: ['weight'] },
      /csv: categories: expected columns among the inputs and targets \(area, price\)/,
    ],
    [{ categories: { area: ['a', 'a'] } }, /csv: categories: .* different values/],
    [{ missing: 'drop' as 'dropRow' }, /csv: missing: expected 'refuse', .* got the text "drop"/],
    [{ missing: { area: 'zero' as 'mean' } }, /csv: missing\.area: /],
    [{ missing: { area: { value: Number.NaN } } }, /csv: missing\.area: /],
    [{ missing: { weight: 'mean' } }, /csv: missing: expected columns among the inputs and targets/],
  ])('%o is refused by name', async (options, message) => {
    const loading = async () => load('area,price\n1,2\n3,4\n', options);
    await expect(loading()).rejects.toThrow(message);
  });

  it('divide one file into at least one row for each set', async () => {
    await writeFile(train, 'area,price\n1,2\n');
    await expect(csv({ train, targets: ['price'] }).load()).rejects.toThrow(
      /expected at least 2 rows, got 1/,
    );
    expect(() => csv({ train, targets: ['price'], testEvery: 1 })).toThrow(
      /testEvery: expected an integer from 2/,
    );
  });
});
