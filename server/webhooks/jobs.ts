// The jobs of this room, for the composition root to hand to the worker.
import type { JobKind } from '../jobs/job.ts'
import { dispatchJob } from './dispatch.ts'
import type { DispatchJob } from './inbox.ts'
import { type RegisterDeps, registerJob } from './register.ts'

export function webhookJobs(deps: RegisterDeps): [JobKind<DispatchJob>, JobKind<{ installationId: string }>] {
  return [dispatchJob(deps), registerJob(deps)]
}
