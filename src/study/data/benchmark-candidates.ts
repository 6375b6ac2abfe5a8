/** A data set that a study without ultrasound and fluoroscopy could be measured on: what is published of it. */
export interface BenchmarkCandidate {
  readonly name: string;
  /** The `source` of its pairs, where there is a stage that reads it; several for families of sets. */
  readonly sources: readonly string[];
  /** `yes`: holds neither; `filtered`: its labels or captions allow to leave them out; `no`: cannot be used for this. */
  readonly use: 'yes' | 'filtered' | 'no';
  readonly size: string;
  readonly modalities: string;
  /** What is published of ultrasound and fluoroscopy in it. */
  readonly published: string;
  readonly licence: string;
  readonly get: string;
  readonly tests: string;
}

/** In the order of the page. Sizes are as published; what is at hand is counted. */
export const benchmarkCandidates: readonly BenchmarkCandidate[] = [
  {
    name: 'VQA-RAD', sources: ['vqa-rad'], use: 'yes', size: '315 images, 3,515 questions', modalities: 'CT, MRI, X-ray', published: 'none', licence: 'CC0 1.0',
    get: '`load-vqa-rad`: a local copy, or GitHub at one commit with the sha256 of its contents', tests: 'visual question answering, open and closed (free-form, and with paraphrases); modality and organ, zero-shot',
  },
  {
    name: 'SLAKE', sources: ['slake'], use: 'yes', size: '642 images, 14,028 questions (7,033 in English)', modalities: 'CT, MRI, X-ray', published: 'none', licence: 'CC BY 4.0',
    get: '`load-slake`: a local copy (questions alone will do), or Hugging Face with the sha256 it publishes', tests: 'visual question answering in English and Chinese; modality and organ, zero-shot',
  },
  {
    name: 'MedPix 2.0', sources: ['medpix'], use: 'yes', size: '2,050 images of 671 cases', modalities: 'CT, MRI', published: 'none; captions name ultrasound 9 times and fluoroscopy twice, as a comparison', licence: "none of its own: MedPix's terms of use",
    get: '`load-medpix`: a local copy of `CHILab1/MedPix-2.0`, whose terms are to be accepted', tests: 'retrieval with long texts (captions, findings, whole cases), case-disjoint splits; modality, plane and place, zero-shot; transfer to VQA-RAD only without the images they share',
  },
  {
    name: 'MedMNIST v2: chest and pneumonia', sources: ['chestmnist', 'pneumoniamnist'], use: 'yes', size: '112,120 and 5,856 images of 28 to 224 pixels', modalities: 'X-ray', published: 'none', licence: 'CC BY 4.0',
    get: '`load-medmnist` with `sets: [chestmnist, pneumoniamnist]`: a local copy, or Zenodo record 10519652 with its md5 sums', tests: 'linear probes and zero-shot classification: 14 findings (several at once), pneumonia',
  },
  {
    name: 'MedMNIST v2: organs (axial, coronal, sagittal)', sources: ['organamnist', 'organcmnist', 'organsmnist'], use: 'yes', size: '58,830, 23,583 and 25,211 images', modalities: 'CT', published: 'none', licence: 'CC BY 4.0',
    get: '`load-medmnist` with `sets: [organamnist, organcmnist, organsmnist]`, as above', tests: 'linear probes and zero-shot classification of 11 organs; one plane against another',
  },
  {
    name: 'MedMNIST v2: volumes (organ, nodule, adrenal, fracture, vessel)', sources: ['organmnist3d', 'nodulemnist3d', 'adrenalmnist3d', 'fracturemnist3d', 'vesselmnist3d'], use: 'yes', size: 'about 1,400 to 1,900 volumes each', modalities: 'CT, MR angiography', published: 'none', licence: 'CC BY 4.0',
    get: '`load-medmnist` with their names: the middle slice of each', tests: 'classification with few samples',
  },
  {
    name: 'ROCO v1, test split', sources: ['roco'], use: 'filtered', size: '8,179 figures', modalities: 'all, without labels', published: 'by the caption rule 9.5 % ultrasound and 2.4 % fluoroscopy in validation and test', licence: "each article's own",
    get: '`download-roco`, then `filter`', tests: 'retrieval in pools of 2,000 and all, as M3AE, ARL and PMC-CLIP report it (on the unfiltered pool)',
  },
  {
    name: 'ROCOv2', sources: ['rocov2'], use: 'filtered', size: '79,789 images', modalities: 'all, labelled by hand; fluoroscopy is labelled X-ray', published: 'ultrasound has a label (C0041618), fluoroscopy none', licence: 'CC BY and CC BY-NC, an image each',
    get: '`load-rocov2`: a local folder, or Zenodo record 10821435 with its md5 sums', tests: 'retrieval; modality, zero-shot; the audit of the caption rule. Shares articles with ROCO: find leaks first',
  },
  {
    name: 'Open-I (Indiana University chest X-rays)', sources: [], use: 'yes', size: '7,470 images, 3,955 reports', modalities: 'X-ray', published: 'none', licence: 'CC BY-NC-ND 4.0',
    get: 'a download of its images and reports, as a folder with `captions.csv`: `load-folder`, group by report', tests: 'retrieval of reports, longer texts',
  },
  {
    name: 'COVID chest X-ray data set (forks with images)', sources: [], use: 'yes', size: 'up to 930 images', modalities: 'X-ray, CT', published: 'none', licence: 'an image each (column `license` of metadata.csv)',
    get: 'a clone with images; `filename`, `clinical_notes` and `patientid` of its `metadata.csv`, written as `captions.csv`: `load-folder`', tests: 'retrieval with clinical notes; view and modality, zero-shot',
  },
  {
    name: 'Figure 1 COVID-19', sources: [], use: 'yes', size: '55 images', modalities: 'X-ray', published: 'none', licence: 'see its repository', get: 'a clone of `agchung/Figure1-COVID-chestxray-dataset`; `load-folder`', tests: 'too small for more than a look',
  },
  {
    name: 'COVID-19 image repository (Hannover)', sources: [], use: 'yes', size: '243 images', modalities: 'X-ray', published: 'none', licence: 'CC BY 3.0', get: 'a clone of `ml-workgroup/covid-19-image-repository`; `load-folder`', tests: 'view, zero-shot; too small for more',
  },
  {
    name: 'MIMIC-CXR-JPG', sources: ['mimic-cxr'], use: 'yes', size: '377,110 images', modalities: 'X-ray', published: 'none', licence: 'PhysioNet, credentialed', get: '`load-mimic-cxr`: a local copy after training and agreement; never downloaded', tests: 'retrieval of reports, by patient',
  },
  {
    name: 'CheXpert 5x200', sources: [], use: 'yes', size: '1,000 images', modalities: 'X-ray', published: 'none', licence: 'Stanford, by agreement', get: 'after the agreement; labels and prompts are in `RyanWangZf/MedCLIP`; `load-folder`', tests: 'zero-shot classification of five findings',
  },
  {
    name: 'RSNA pneumonia', sources: [], use: 'yes', size: '26,684 images', modalities: 'X-ray', published: 'none', licence: 'Kaggle, by its terms', get: 'after accepting the terms; `load-folder`', tests: 'zero-shot pneumonia, yes or no',
  },
  {
    name: 'VQA-Med 2019', sources: [], use: 'filtered', size: '4,200 images, 15,292 questions', modalities: 'X-ray, CT, MRI, ultrasound, fluoroscopy, angiography, mammography, nuclear', published: 'of 125 test answers about modality: 7 ultrasound, 4 fluoroscopy, 5 angiography', licence: 'CC BY 4.0',
    get: 'Zenodo record 10499039 (test images not public)', tests: 'visual question answering, once the images that its modality answers name are left out',
  },
  {
    name: 'PMC-VQA, PMC-OA, MedICaT', sources: [], use: 'filtered', size: '227,000, 1.6 million and 217,000', modalities: 'everything', published: 'ultrasound is in all three', licence: 'mixed', get: 'their own sites; `load-folder`, then `filter`', tests: 'little: they share articles with ROCO, and have no modality labels',
  },
  {
    name: 'BreastMNIST', sources: [], use: 'no', size: '780 images', modalities: 'ultrasound', published: 'all of it is ultrasound', licence: 'CC BY 4.0', get: 'refused by `load-medmnist`', tests: 'nothing here',
  },
  {
    name: 'PathVQA', sources: [], use: 'no', size: '4,998 images, 32,799 questions', modalities: 'pathology', published: 'none', licence: 'MIT', get: 'not read here', tests: 'nothing here: it is no radiology',
  },
];
