// For whoever keeps this server running: is the process alive, and can it do its work. Says nothing that a stranger could use.
import { Router } from 'express'
import { sql } from 'kysely'
import type { Db } from '../../database/database.ts'

export function healthRoutes({ db }: { db: Db }): Router {
  const router = Router()
  router.get('/health/live', (_request, response) => {
    response.json({ status: 'live' })
  })
  router.get('/health/ready', async (_request, response) => {
    await sql`select 1`.execute(db)
    response.json({ status: 'ready' })
  })
  return router
}
