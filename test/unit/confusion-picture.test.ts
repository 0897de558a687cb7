import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { colourAt, inkOn, scalePosition } from '../../src/cli/pictures/colour-scale.js';
import { confusionSvg } from '../../src/cli/pictures/confusion-svg.js';
import { pictureFile, writePicture } from '../../src/cli/pictures/picture-file.js';
import { element, escapeXml, textElement } from '../../src/cli/pictures/svg.js';
import { confusionOf, type ConfusionCell } from '../../src/shared/evaluation/confusion.js';
import { chromiumPath, noChromium, openBrowser } from '../support/browser.js';
import { temporaryFolder } from '../support/lockstep.js';

/** `classes` classes of which each is taken for the next one once in ten. */
const cells = (classes: number): ConfusionCell[] =>
  Array.from({ length: classes }, (_, label) => [
    { label, predicted: label, count: 90 },
    { label, predicted: (label + 1) % classes, count: 10 },
  ]).flat();
const title = { run: 'first', split: 'test' } as const;
const hostile = ['<script>alert(1)</script>', '"&\'', 'a\u0000\u001b\ud800b', ']]>'];

interface Rgb {
  readonly data: Buffer;
  readonly width: number;
}
async function pixels(svg: string): Promise<Rgb> {
  const { data, info } = await sharp(Buffer.from(svg))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width };
}
/** Returns a picture's texts as the browser shows them. */
interface Seen {
  readonly said: string[];
  readonly beyond: string[];
  readonly over: string[][];
  readonly scripts: number;
}
const pixelAt = ({ data, width }: Rgb, x: number, y: number): string =>
  `#${data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3).toString('hex')}`;

describe('the picture of a confusion matrix', () => {
  it('is drawn with each cell in the colour of its share of the true class', async () => {
    const svg = confusionSvg(confusionOf(cells(3), 3), title);
    const rects = [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="48" height="48"/g)];
    expect(rects).toHaveLength(6);
    const drawn = await pixels(svg);
    const colours = rects.map(([, x, y]) => pixelAt(drawn, Math.round(Number(x)) + 4, Number(y) + 4));
    const [often, seldom] = [colourAt(scalePosition(0.9)), colourAt(scalePosition(0.1))];
    expect(colours).toEqual([often, seldom, often, seldom, seldom, often]);
  });

  it('has a contrast of at least 4.5 between text and each colour, and a scale that gets darker only', () => {
    const light = (colour: string): number => {
      const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
        const part = parseInt(colour.slice(at, at + 2), 16) / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const places = Array.from({ length: 101 }, (_, i) => i / 100);
    for (const place of places) {
      const pair = [light(colourAt(place)), light(inkOn(place))];
      const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
      expect(contrast, `at ${place}`).toBeGreaterThanOrEqual(4.5);
    }
    const lights = places.map((place) => light(colourAt(place)));
    expect(lights).toEqual([...lights].sort((a, b) => b - a));
    expect(new Set(lights).size).toBe(101);
  });

  it('escapes special characters in names, and omits characters that XML cannot contain', async () => {
    expect(escapeXml(`<a b="c" d='e'>&\u0000\ud800\ufffe\u{1f408}`)).toBe(
      '&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\ufffd\ufffd\ufffd\u{1f408}',
    );
    expect(element('g', { fill: '"/><script>' }, [textElement('text', { x: 1 / 3 }, '</text>')])).toBe(
      '<g fill="&quot;/&gt;&lt;script&gt;"><text x="0.33">&lt;/text&gt;</text></g>',
    );
    const svg = confusionSvg(confusionOf(cells(4), 4, hostile), { run: '</svg><x>', split: 'train' });
    expect(svg).not.toContain('<script');
    // By libxml2, which takes no SVG that isn't well-formed.
    expect((await sharp(Buffer.from(svg)).metadata()).format).toBe('svg');
    await expect(
      sharp(Buffer.from(svg.replace('&lt;/svg', '</svg')))
        .png()
        .toBuffer(),
    ).rejects.toThrow();
  });

  it('is the same for equal counts, with any number of classes and without samples', async () => {
    for (const classes of [2, 12, 13, 40, 41, 200]) {
      const svg = confusionSvg(confusionOf(cells(classes), classes), title);
      expect(svg).toBe(confusionSvg(confusionOf(cells(classes).reverse(), classes), title));
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect((await sharp(Buffer.from(svg)).metadata()).width).toBeGreaterThan(200);
    }
    expect(confusionSvg(confusionOf([], 2), title)).toContain('no samples');
  });
});

describe.skipIf(chromiumPath === undefined)(`a browser (${noChromium})`, () => {
  const opened = chromiumPath === undefined ? undefined : openBrowser();
  afterAll(async () => (await opened)?.close());

  it('shows complete names, with all text inside the picture and without overlaps', async () => {
    const page = await (await opened)!.newPage();
    for (const [classes, names] of [
      [10, undefined],
      [4, hostile],
      [30, Array.from({ length: 30 }, (_, i) => `a long name of class ${i}`)],
    ] as const) {
      const run = 'A run with a name that is longer than its matrix is wide, by far';
      const svg = confusionSvg(confusionOf(cells(classes), classes, names), { run, split: 'test' });
      await page.goto(`data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`);
      const seen = await page.evaluate<Seen>(`(() => {
        const { width, height } = document.documentElement.getBoundingClientRect();
        const texts = [...document.querySelectorAll('text')].map((text) => ({ said: text.textContent, box: text.getBoundingClientRect() }));
        const beyond = texts.filter(({ box }) => box.left < 0 || box.top < 0 || box.right > width || box.bottom > height);
        const over = texts.flatMap((one, i) => texts.slice(i + 1).filter((two) =>
          one.box.left < two.box.right - 1 && two.box.left < one.box.right - 1 &&
          one.box.top < two.box.bottom - 6 && two.box.top < one.box.bottom - 6).map((two) => [one.said, two.said]));
        return { said: texts.map(({ said }) => said), beyond: beyond.map(({ said }) => said), over, scripts: document.scripts?.length ?? 0 };
      })()`);
      expect(seen).toMatchObject({ beyond: [], over: [], scripts: 0 });
      expect(seen.said).toEqual(
        expect.arrayContaining(['true', 'predicted', 'accuracy', '90.0 %', '90', '10']),
      );
      expect(seen.said).toContain('test set, accuracy 90.00 % (' + `${classes * 90} of ${classes * 100})`);
      if (names) expect(seen.said).toContain(names === hostile ? '"&\'' : 'a long name of class 7');
    }
    await page.close();
  });
});

describe('the file of a picture', () => {
  it('is complete, in the format of its name, and replaces an earlier one', async () => {
    const folder = await temporaryFolder();
    const svg = confusionSvg(confusionOf(cells(3), 3), title);
    const { width } = await sharp(Buffer.from(svg)).metadata();
    const place = await pictureFile(join(folder, 'new', 'one.svg'));
    await writePicture(place, svg);
    expect(await readFile(place, 'utf8')).toBe(svg);
    await writePicture(await pictureFile(place), svg.replace('first', 'second'));
    expect(await readFile(place, 'utf8')).toContain('second');
    const other = await pictureFile(join(folder, 'new', 'two.PNG'));
    await writePicture(other, svg);
    expect(await sharp(other).metadata()).toMatchObject({ format: 'png', width: width * 2 });
    expect((await readdir(join(folder, 'new'))).sort()).toEqual(['one.svg', 'two.PNG']);
  });

  it('is refused before the evaluation if it cannot be written', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await mkdir(join(folder, 'folder.svg'));
    await symlink('/dev/null', join(folder, 'link.svg'));
    const refused = (name: string) => expect(pictureFile(join(folder, name))).rejects;
    await refused('one.jpg').toThrow(
      /^--picture \S+one\.jpg: expected a name that ends in \.svg or \.png, got "\.jpg"/,
    );
    await refused('one').toThrow(/got ""/);
    await refused('folder.svg').toThrow(/expected a new file or an earlier picture, got a folder/);
    await refused('link.svg').toThrow(/got a link or a special file/);
    await refused(join('file', 'one.svg')).toThrow(/expected a folder that can be written, got ENOTDIR/);
    await refused(join('file', 'deeper', 'one.svg')).toThrow(/got ENOTDIR/);
    expect((await readdir(folder)).sort()).toEqual(['file', 'folder.svg', 'link.svg']);
  });
});
