export {
  createLab,
  openLab,
  removeLab,
  type ExecOptions,
  type ExecResult,
  type Lab,
  type Place,
} from './lab.ts'
