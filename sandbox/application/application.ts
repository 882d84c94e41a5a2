// The application host of the sandbox's region: serves the CMS page to browsers, and what only that page asks for below
// `/apps-api`. The OAuth machine routes are another room's and come in as routers. It knows no database of ours: there is none.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import express from 'express'
import type { SandboxContext } from '../context.ts'
import { pageRoutes } from './page-routes.ts'
import { standingRoutes } from './standing.ts'

const built = join(import.meta.dirname, '../../dist/cms')

/** `routers` are mounted before the page, so that `/apps-api/token` and `/.well-known` are theirs. */
export function createApplication(context: SandboxContext, routers: express.Router[]): express.Express {
  const application = express()
  application.disable('x-powered-by')
  for (const router of routers) application.use(router)
  application.use('/apps-api', pageRoutes(context), standingRoutes(context))
  application.use('/apps-api', (request, response) => {
    response.status(404).json({ error_message: `The sandbox's application host has no ${request.method} ${request.originalUrl}.` })
  })
  application.use(express.static(built, { index: false, maxAge: 0 }))
  application.get('/{*path}', (_request, response) => {
    if (existsSync(join(built, 'index.html'))) response.sendFile(join(built, 'index.html'), { headers: { 'cache-control': 'no-store' } })
    else response.status(503).type('html').send(notBuilt)
  })
  return application
}

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox: not built</title>
<body style="font:16px/24px system-ui;margin:48px;max-width:640px"><h1 style="font-size:20px">The CMS page is not built yet</h1>
<p>Run <code>npm run build</code> in the project's folder, then load this page again. The APIs of the sandbox work without it.</p>`
