export { Fault, fault, wrapFault, type FaultCode } from './fault.ts'
