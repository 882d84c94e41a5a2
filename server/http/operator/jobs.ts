// The operator door's routes of dead letters: to list, to read one whole, to put in again and to discard.
import { type Request, Router } from 'express'
import type { Actor } from '../../audit/audit.ts'
import { type AnyJob, type DeadJob, type JobsAnswer, WhichJobs } from '../contract/jobs.ts'
import type { List } from '../contract/stack.ts'
import { bodyOf, jobIdOf, queryOf } from '../guards.ts'

export interface JobDoor {
  list(asked: { kind: string | undefined; installation: string | undefined; before: string | undefined }): Promise<List<DeadJob>>
  /** In whatever state. AppError not_found. */
  show(id: number): Promise<AnyJob>
  /** Some of them at a time; oldest first. AppError invalid | not_found | conflict. */
  retry(actor: Actor, which: WhichJobs): Promise<JobsAnswer>
  discard(actor: Actor, which: WhichJobs): Promise<JobsAnswer>
}

/** Mounted behind the door's guard, which has read the body. */
export function jobRoutes(jobs: JobDoor, actorOf: (request: Request) => Actor): Router {
  const router = Router()
  router.get('/', async (request, response) => {
    const asked = { kind: queryOf(request, 'kind'), installation: queryOf(request, 'installation'), before: queryOf(request, 'before') }
    response.json(await jobs.list(asked))
  })
  router.post('/retry', async (request, response) => {
    response.json(await jobs.retry(actorOf(request), bodyOf(request, WhichJobs)))
  })
  router.post('/discard', async (request, response) => {
    response.json(await jobs.discard(actorOf(request), bodyOf(request, WhichJobs)))
  })
  router.get('/:jobId', async (request, response) => void response.json(await jobs.show(jobIdOf(request))))
  return router
}
