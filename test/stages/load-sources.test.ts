import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { stage as folderStage } from '../../stages/load-folder.ts';
import { stage as medmnistStage } from '../../stages/load-medmnist.ts';
import { stage as medpixStage } from '../../stages/load-medpix.ts';
import { stage as mimicStage } from '../../stages/load-mimic-cxr.ts';
import { stage as rocov2Stage } from '../../stages/load-rocov2.ts';
import { stage as slakeStage } from '../../stages/load-slake.ts';
import { stage as vqaRadStage } from '../../stages/load-vqa-rad.ts';
import { readPairs, readPairsReport } from '../../src/study/data/pairs.ts';
import type { Question } from '../../src/study/data/questions.ts';
import { hasShared, sharedPath } from '../rig/shared.ts';
import { npy, writeZip } from '../rig/zip.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const png = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#808080' } }).png().toBuffer();

async function folderOf(files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const root = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return root;
}

/** Which ids were left out, with kind and reason. */
const without = async (folder: string): Promise<Record<string, string>> => Object.fromEntries((await readPairsReport(folder)).leftOut.map(row => [row.id, `${row.kind}: ${row.reason}`]));
const questionsIn = async (file: string): Promise<Question[]> => (await readFile(file, 'utf8')).trim().split('\n').map(line => JSON.parse(line) as Question);

describe('any folder', () => {
  it('takes captions.csv with its optional columns, and reports the rest by id', async () => {
    const folder = await folderOf({
      'captions.csv': [
        '\ufeffImage,Caption,Patient,Split,Licence,Modality,Concepts', 'a.png,"CT, axial ""slice""",p1,train,CC0,CT,C1;C2', 'images/b.png,Chest X-ray,p2,dev,,,', 'c.png,No such image,p3,test,,,', 'a.png,Again,p1,train,,,',
        'd.png,,p4,train,,,', 'e.png,Bad split,p5,later,,,', 'short,row', '../secret.png,Climbs out,p6,train,,,', '/etc/passwd,Absolute,p7,train,,,', 'html.png,A web page,p8,train,,,', 'empty.png,Empty,p9,train,,,', 'f.png,Caf\ufffd,p9,train,,,', '',
      ].join('\n'),
      'a.png': png, 'images/b.png': png, 'images/unnamed.png': png, 'html.png': '<!doctype html><p>404', 'empty.png': '', 'notes.md': 'no image',
    });
    const { outputs, metrics, notes } = await runStage(folderStage, { params: { name: 'mine', licence: 'CC BY' }, inputs: { folder, archive: undefined } });
    const pairs = await readPairs(outputs.pairs);
    expect(pairs).toEqual([
      { id: 'a', image: 'images/a.png', caption: 'CT, axial "slice"', group: 'p1', split: 'train', licence: 'CC0', modality: 'ct', source: 'mine', concepts: ['C1', 'C2'] },
      { id: 'images/b', image: expect.stringMatching(/^images\/[0-9a-f]{32}\.png$/), caption: 'Chest X-ray', group: 'p2', split: 'validation', licence: 'CC BY', modality: null, source: 'mine' },
    ]);
    for (const { image } of pairs) expect((await readFile(join(outputs.pairs, image as string))).equals(png)).toBe(true);
    expect(await without(outputs.pairs)).toEqual({
      'captions.csv:8': 'text: 2 fields under 7 columns', d: 'text: captions.csv:6: the caption is empty', e: 'text: captions.csv:7: "later" is no split: use train, validation or test', f: expect.stringContaining('not valid text in this encoding'),
      'images/unnamed': 'no caption: captions.csv has no row for the image images/unnamed.png', c: 'absent: there is no image c.png', a: 'duplicate: the id is there twice; the first one counts',
      '../secret': expect.stringMatching(/^path: .*would lie outside the folder/), '/etc/passwd': expect.stringMatching(/^path: .*would lie outside the folder/), html: 'broken: html.png is a web page or XML, not an image', empty: 'broken: empty.png is empty',
    });
    expect([metrics.get('pairs'), metrics.get('groups'), metrics.get('left_out_path')]).toEqual([2, 2, 2]);
    expect(notes[0]).toMatch(/^2 images; left out, each with its reason in report\.json: /);
  });
  it.each([
    ['captions.tsv', Buffer.from('image\tcaption\na.png\tA "quoted" word\n'), {}, 'A "quoted" word'],
    ['captions.jsonl', Buffer.from('{"file_name":"a.png","text":"From lines"}\n{"file_name":"a.png"\n'), {}, 'From lines'],
    ['captions.csv', Buffer.from('image;caption\r\na.png;Semicolons, too\r\n'), {}, 'Semicolons, too'],
    ['captions.csv', Buffer.from('image,caption\na.png,Cafe\xe9\n', 'latin1'), { encoding: 'windows-1252' as const }, 'Cafeé'],
    ['captions.csv', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('image,caption\na.png,Wide é\n', 'utf16le')]), {}, 'Wide é'],
  ])('takes %s (%#) as it is written', async (name, text, params, caption) => {
    const { outputs } = await runStage(folderStage, { params, inputs: { folder: await folderOf({ [name]: text, 'a.png': png }), archive: undefined } });
    expect((await readPairs(outputs.pairs)).map(pair => pair.caption)).toEqual([caption]);
  });
  it.each([
    [{ 'captions.csv': 'image,words\na.png,x\n', 'a.png': png }, /captions\.csv: there is no column "caption" or "text" or "report" or "description"; the columns are "image", "words"/],
    [{ 'captions.csv': Buffer.from('image,caption\na.png,x\n', 'utf16le'), 'a.png': png }, /zero bytes: it is no text, or of another encoding/],
    [{ 'captions.csv': '<html>', 'a.png': png }, /is a web page, not a table/],
    [{ 'captions.csv': 'image,caption\na.png,"never closed\n', 'a.png': png }, /captions\.csv: .*(Quote|quote)/],
    [{ 'captions.csv': 'image,caption,Caption\n', 'a.png': png }, /the column "caption" is there twice/],
    [{ 'captions.csv': 'image,caption\n', 'captions.tsv': 'image\tcaption\n' }, /which one counts/],
    [{ 'notes.md': 'nothing' }, /holds no captions\.csv, captions\.tsv or captions\.jsonl/],
    [{ 'captions.csv': 'image,caption\na.png,There\n' }, /no image with a caption could be had; for example a: there is no image a\.png/],
  ])('says what is wrong with %#', async (files, message) => {
    await expect(runStage(folderStage, { params: {}, inputs: { folder: await folderOf(files), archive: undefined } })).rejects.toThrow(message);
  });
  it('takes a text beside each image, splits by group, and unpacks an archive inside its own place', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `p/x${index}`);
    const zip = join(await temporaryFolder(), 'set.zip');
    await writeZip(zip, { ...Object.fromEntries(names.flatMap(name => [[`${name}.png`, png], [`${name}.txt`, ` Text of ${name} \n`]])), 'p/lonely.png': png, 'p/words.txt': 'no image' });
    const { outputs } = await runStage(folderStage, { params: { validation: 0.25, test: 0.25 }, inputs: { folder: undefined, archive: zip } });
    const pairs = await readPairs(outputs.pairs);
    expect(pairs.filter(pair => pair.split === 'test')).toHaveLength(10);
    expect(pairs.find(pair => pair.id === 'p/x7')?.caption).toBe('Text of p/x7');
    expect(await without(outputs.pairs)).toEqual({ 'p/lonely': 'no caption: there is no lonely.txt beside p/lonely.png', 'p/words': 'absent: there is no image beside p/words.txt' });
    expect(await readdir(dirname(outputs.pairs))).toEqual(['pairs']); // what was unpacked is gone
  });
});

it('ROCOv2: captions, both kinds of concepts, licences, articles; images from archives; fluoroscopy by its caption', async () => {
  const root = await temporaryFolder();
  await writeZip(join(root, 'test_images.zip'), { 'test/R_test_1.jpg': png, 'test/R_test_2.jpg': png, 'test/R_test_3.jpg': png, 'test/R_test_9.jpg': png });
  await writeFile(join(root, 'test_captions.csv'), 'ID,Caption\nR_test_1,"CT, axial"\nR_test_2,Fluoroscopic image of a stent\nR_test_3,PET of the body\nR_test_4,MRI\n');
  await writeFile(join(root, 'test_concepts_manual.csv'), 'ID,CUIs\nR_test_1,C0040405\nR_test_2,C1306645;C0023216\nR_test_3,\n');
  await writeFile(join(root, 'test_concepts.csv'), 'ID,CUIs\nR_test_1,C0040405;C0000001\n');
  await writeFile(join(root, 'license_information.csv'), 'ID,PMCID,Attribution,Link\nR_test_1,PMC1,CC BY [A],https://x\nR_test_2,PMC1,B,https://creativecommons.org/licenses/by-nc/4.0/\n');
  const { outputs } = await runStage(rocov2Stage, { params: {}, inputs: { folder: root } });
  expect((await readPairs(outputs.pairs)).map(({ id, group, licence, modality, concepts, split }) => [id, group, licence, modality, concepts?.join(' '), split])).toEqual([
    ['R_test_1', 'PMC1', 'CC BY', 'ct', 'C0040405 C0000001', 'test'], ['R_test_2', 'PMC1', 'CC BY-NC', 'fluoroscopy', 'C1306645 C0023216', 'test'], ['R_test_3', 'R_test_3', 'unknown', null, undefined, 'test'],
  ]);
  expect(await without(outputs.pairs)).toEqual({ R_test_4: 'absent: there is no image R_test_4.jpg', R_test_9: 'no caption: no captions file has a row for test/R_test_9.jpg' });
});

describe('questions', () => {
  it.skipIf(!hasShared)('VQA-RAD has its published counts: 3,064 and 451 questions, 314 images, all 203 test images also in train (needs the shared data)', async () => {
    const { outputs, metrics } = await runStage(vqaRadStage, { params: {}, inputs: { folder: sharedPath('vqa-rad'), archive: undefined } });
    const questions = await questionsIn(outputs.questions);
    const count = (where: Partial<Question>): number => questions.filter(row => Object.entries(where).every(([key, value]) => row[key as keyof Question] === value)).length;
    expect([count({ split: 'train' }), count({ split: 'test' }), count({ split: 'train', kind: 'closed' }), count({ split: 'test', kind: 'open' }), count({ split: 'test', phrase: 'freeform' })]).toEqual([3064, 451, 1823, 179, 308]);
    const pairs = await readPairs(outputs.pairs);
    const counts = (modality: string): number => pairs.filter(pair => pair.modality === modality).length;
    expect([metrics.get('pairs'), counts('ct'), counts('x-ray'), counts('mri')]).toEqual([314, 125, 107, 82]);
    expect(JSON.parse(await readFile(join(outputs.pairs, 'report.json'), 'utf8'))).toMatchObject({ imagesOnSeveralSides: 203 });
    expect(new Set(pairs.map(pair => pair.caption)).size).toBe(4);
    const ids = new Set(pairs.map(pair => pair.id));
    expect(questions.every(({ image }) => ids.has(image))).toBe(true);
  });
  it.skipIf(!hasShared)('SLAKE has its published counts but for one empty answer, with no image at hand (needs the shared data)', async () => {
    const { outputs, metrics } = await runStage(slakeStage, { params: {}, inputs: { folder: sharedPath('slake'), archive: undefined } });
    const english = (await questionsIn(outputs.questions)).filter(row => row.language === 'en');
    const count = (split: string, kind?: string): number => english.filter(row => row.split === split && (kind === undefined || row.kind === kind)).length;
    expect([count('train'), count('validation'), count('test'), count('test', 'open'), count('test', 'closed')]).toEqual([4918, 1053, 1061, 645, 416]);
    expect([metrics.get('questions'), metrics.get('left_out_question'), metrics.get('left_out_absent')]).toEqual([14027, 1, 642]);
    expect(JSON.parse(await readFile(join(outputs.pairs, 'report.json'), 'utf8'))).toMatchObject({ imagesOnSeveralSides: 0 });
  });
  it('reports questions that cannot be used, and says which file is missing', async () => {
    const row = { qid: 1, image_name: 'synpic1.jpg', image_organ: 'HEAD', answer: 2, answer_type: 'CLOSED ', question_type: 'PRES', question: 'How many?', phrase_type: 'freeform', modality: 'MRI' };
    const folder = await folderOf({ 'trainset.json': JSON.stringify([row, { ...row, qid: 2, answer: '' }, { ...row, qid: 3, answer_type: 'MAYBE' }, { ...row, qid: 1 }]), 'testset.json': '[]', 'images/synpic1.jpg': png });
    const { outputs } = await runStage(vqaRadStage, { params: {}, inputs: { folder, archive: undefined } });
    expect(await questionsIn(outputs.questions)).toEqual([{ id: 'vqa-rad-train-1', image: 'synpic1', question: 'How many?', answer: '2', kind: 'closed', split: 'train', group: 'synpic1', language: 'en', type: 'PRES', phrase: 'freeform', modality: 'mri' }]);
    expect((await readPairs(outputs.pairs))[0]).toMatchObject({ caption: 'MRI of the head', split: 'train' });
    expect(Object.keys(await without(outputs.pairs))).toEqual(['vqa-rad-train-2', 'vqa-rad-train-3', 'vqa-rad-train-1']);
    await expect(runStage(vqaRadStage, { params: {}, inputs: { folder: await folderOf({ 'trainset.json': '[]' }), archive: undefined } })).rejects.toThrow('there is no testset.json');
    await expect(runStage(vqaRadStage, { params: {}, inputs: { folder: await folderOf({ 'trainset.json': '{"a":' }), archive: undefined } })).rejects.toThrow(/trainset\.json: /);
  });
});

describe('MedPix 2.0', () => {
  const description = (image: string, id: string, modality: string, caption: string | null): object => ({ Type: 'CT', U_id: id, image, Description: { Caption: caption, Modality: modality, Plane: 'Axial' }, Location: 'Chest' });
  const copy = (): Promise<string> => folderOf({
    'MedPix-2-0/Descriptions.json': JSON.stringify([description('MPX1_synpic1', 'MPX1', 'CT - noncontrast', 'A mass.'), description('MPX1_synpic2', 'MPX1', 'MR - T2 weighted', null), description('MPX2_synpic3', 'MPX2', 'Drawing', 'Drawn'), description('MPX2_synpic4', 'MPX2', 'CT', 'Other')]),
    'MedPix-2-0/Case_topic.json': JSON.stringify([{ U_id: 'MPX1', Case: { History: 'Cough.', Exam: 'N/A', Findings: 'A round mass.' }, Topic: { 'Disease Discussion': 'Masses are round.' } }, { U_id: 'MPX2', Case: { History: 'None' }, Topic: {} }]),
    'MedPix-2-0/splitted_dataset/descriptions_train.jsonl': '{"U_id":"MPX1"}\n', 'MedPix-2-0/splitted_dataset/descriptions_dev.jsonl': '{"U_id":"MPX2"}\n',
    'MedPix-2-0/images/MPX1_synpic1.png': png, 'MedPix-2-0/images/MPX1_synpic2.png': png, 'MedPix-2-0/images/MPX2_synpic4.png': png,
  });
  it.each([
    ['caption' as const, ['A mass.', 'Other']],
    ['findings' as const, ['A round mass.', 'A round mass.']],
    ['case' as const, ['A mass.\nCough.\nA round mass.', 'Cough.\nA round mass.', 'Other']],
    ['discussion' as const, ['A mass.\nCough.\nA round mass.\nMasses are round.', 'Cough.\nA round mass.\nMasses are round.', 'Other']],
  ])('has %s as text, cases as groups, its splits, and no drawings', async (text, captions) => {
    const { outputs, notes } = await runStage(medpixStage, { params: { text }, inputs: { folder: await copy(), archive: undefined } });
    const pairs = await readPairs(outputs.pairs);
    expect(pairs.map(pair => pair.caption)).toEqual(captions);
    expect(pairs[0]).toMatchObject({ group: 'MPX1', split: 'train', modality: 'ct', licence: 'MedPix terms' });
    if (text === 'case') expect(pairs.map(pair => `${pair.modality} ${pair.split}`)).toEqual(['ct train', 'mri train', 'ct validation']);
    expect((await without(outputs.pairs))['MPX2_synpic3']).toMatch(/^drawing/);
    expect(notes[0]).toMatch(/under its terms of use/);
  });
  it('is not downloaded, and neither is MIMIC-CXR: both say so and where to get it', async () => {
    await expect(runStage(medpixStage, { params: {}, inputs: { folder: undefined, archive: undefined } })).rejects.toThrow(/terms of use.*So it is not downloaded here: get a copy/);
    await expect(runStage(mimicStage, { params: {}, inputs: { folder: undefined } })).rejects.toThrow(/Credentialed.*local copy alone.*physionet\.org/s);
  });
});

it('MIMIC-CXR: findings and impression of the report, patients as groups, splits', async () => {
  const folder = await folderOf({
    'mimic-cxr-2.0.0-split.csv': 'dicom_id,study_id,subject_id,split\naa-1,50000001,10000001,train\nbb-2,50000002,10000002,validate\n',
    'files/p10/p10000001/s50000001/aa-1.jpg': png, 'files/p10/p10000001/s50000001.txt': '                 FINAL REPORT\n EXAMINATION:  CHEST\n\n FINDINGS: \n \n Clear lungs of Mr. ___.\n No effusion.\n\n IMPRESSION: Normal.\n',
    'files/p10/p10000002/s50000002/bb-2.jpg': png, 'files/p10/p10000002/s50000002/cc-3.jpg': png,
  });
  const { outputs } = await runStage(mimicStage, { params: {}, inputs: { folder } });
  expect(await readPairs(outputs.pairs)).toEqual([{ id: 'aa-1', image: 'images/aa-1.png', caption: 'Clear lungs of Mr. . No effusion. Normal.', group: 'p10000001', split: 'train', licence: 'PhysioNet credentialed', modality: 'x-ray', source: 'mimic-cxr' }]);
  expect(Object.keys(await without(outputs.pairs))).toEqual(['bb-2', 'cc-3']);
});

describe('MedMNIST', () => {
  const archive = async (name: string, arrays: Readonly<Record<string, Buffer>>): Promise<string> => {
    const root = await temporaryFolder();
    await writeZip(join(root, name), Object.fromEntries(Object.entries(arrays).map(([key, value]) => [`${key}.npy`, value])));
    return root;
  };
  it('has pixels as they are, captions and labels of its classes, and its splits', async () => {
    const images = (rows: number): Buffer => npy([rows, 28, 28], Buffer.alloc(rows * 784, rows));
    const folder = await archive('pneumoniamnist.npz', {
      train_images: images(3), train_labels: npy([3, 1], Buffer.from([0, 1, 9])), val_images: images(2), val_labels: npy([2, 1], Buffer.from([1, 1])), test_images: npy([2, 28, 28], Buffer.alloc(3)), test_labels: npy([2, 1], Buffer.from([0, 0])),
    });
    const { outputs } = await runStage(medmnistStage, { params: {}, inputs: { folder } });
    const pairs = await readPairs(outputs.pairs);
    expect(pairs.map(({ id, caption, split, modality }) => [id, caption, split, modality])).toEqual([
      ['pneumoniamnist-train-00000', 'chest X-ray with no finding', 'train', 'x-ray'], ['pneumoniamnist-train-00001', 'chest X-ray with pneumonia', 'train', 'x-ray'],
      ['pneumoniamnist-validation-00000', 'chest X-ray with pneumonia', 'validation', 'x-ray'], ['pneumoniamnist-validation-00001', 'chest X-ray with pneumonia', 'validation', 'x-ray'],
    ]);
    expect(pairs[3]?.image).toEqual({ file: 'images.raw', offset: 4 * 784, width: 28, height: 28, channels: 1 });
    expect(await without(outputs.pairs)).toEqual({
      'pneumoniamnist-train-00002': 'text: its label 9 is none of the set\'s 2', 'pneumoniamnist:test_images.npy': 'archive: its shape (2, 28, 28) needs 1568 bytes, the file holds 3', 'pneumoniamnist:test': 'archive: its images are not to be had',
    });
    expect((await readFile(join(outputs.pairs, 'labels.jsonl'), 'utf8')).split('\n')[1]).toBe('{"id":"pneumoniamnist-train-00001","set":"pneumoniamnist","labels":[1],"names":["pneumonia"]}');
  });
  it('has several labels at once, organs, and the middle slice of a volume', async () => {
    const many = Buffer.alloc(28);
    many[1] = many[13] = many[14 + 4] = 1;
    const chest = await archive('chestmnist.npz', { test_images: npy([2, 28, 28], Buffer.alloc(2 * 784)), test_labels: npy([2, 14], many) });
    const first = await runStage(medmnistStage, { params: { sets: ['chestmnist'] }, inputs: { folder: chest } });
    expect((await readPairs(first.outputs.pairs)).map(pair => pair.caption)).toEqual(['chest X-ray with cardiomegaly and hernia', 'chest X-ray with mass']);
    const volume = Buffer.from(Array.from({ length: 4 * 6 }, (_, index) => Math.floor(index / 6)));
    const organs = await archive('organmnist3d.npz', { test_images: npy([1, 4, 2, 3], volume), test_labels: npy([1, 1], Buffer.from([0])) });
    const second = await runStage(medmnistStage, { params: { sets: ['organmnist3d'] }, inputs: { folder: organs } });
    expect((await readPairs(second.outputs.pairs))[0]).toMatchObject({ caption: 'abdominal CT of the liver', image: { width: 3, height: 2 } });
    expect([...(await readFile(join(second.outputs.pairs, 'images.raw')))]).toEqual([2, 2, 2, 2, 2, 2]);
  });
  it.each([['breastmnist', /left out: it is ultrasound/], ['pathmnist', /it is pathology/], ['foomnist', /is no MedMNIST set/]])('refuses %s', async (set, message) => {
    await expect(runStage(medmnistStage, { params: { sets: [set] }, inputs: { folder: await temporaryFolder() } })).rejects.toThrow(message);
  });
});
