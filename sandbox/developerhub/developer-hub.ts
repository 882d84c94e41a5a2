// The developerHub host: who is calling, for which organization, then the routes. `/manifests` and `/apps` are two names of the
// same routes (reference §5). Also serves the second address of the token endpoint.
import express from 'express'
import type { Deliveries, SandboxContext } from '../context.ts'
import { faultMiddleware } from '../faults.ts'
import { answerRefusals, hubRefusal } from '../oauth/refusal.ts'
import { tokenRoute } from '../oauth/routes.ts'
import { installationRoutes } from './installation-routes.ts'
import type { TellApp } from './installations.ts'
import { manifestRoutes } from './manifest-routes.ts'

export function createDeveloperHub(context: SandboxContext, tell: TellApp, deliveries: Deliveries): express.Express {
  const app = express()
  app.disable('x-powered-by')
  app.use(faultMiddleware(context, 'developerHub'))
  app.use(allowBrowsers)
  app.use(tokenRoute(context, ['/token']))
  // Manifests carry icons as data addresses.
  app.use(express.json({ limit: '2mb' }))
  app.use(['/manifests', '/apps'], manifestRoutes(context, tell))
  app.use(installationRoutes(context, tell, deliveries))
  app.use(() => {
    throw hubRefusal(404, 'The requested resource was not found.')
  })
  app.use(answerRefusals)
  return app
}

/** The CMS page on the application host calls this host from the browser. Credentials travel in headers, never in cookies. */
const allowBrowsers: express.RequestHandler = (request, response, next) => {
  response.set({
    'access-control-allow-origin': request.header('origin') ?? '*',
    'access-control-allow-methods': 'GET,POST,PUT,DELETE,OPTIONS',
    'access-control-allow-headers': request.header('access-control-request-headers') ?? '*',
    'access-control-max-age': '600',
    vary: 'origin'
  })
  if (request.method === 'OPTIONS') return void response.status(204).end()
  next()
}
