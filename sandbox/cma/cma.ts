// The Content Management API on its host: `/v3` and everything below it (contentstack.md §1, §2, §8). Composes the routes, lets
// the CMS page call from its own origin, and writes each refusal in the platform's shape.
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import type { SandboxContext } from '../context.ts'
import { faultMiddleware } from '../faults.ts'
import { assetRoutes } from './assets.ts'
import { bulkRoutes } from './bulk.ts'
import { createDoors } from './call.ts'
import { contentTypeRoutes } from './content-types.ts'
import { entryRoutes } from './entries.ts'
import { managementTokenRoutes } from './management-tokens.ts'
import { peopleRoutes } from './people.ts'
import { invalidData, noSuchEndpoint, Refusal } from './refusal.ts'
import { settingRoutes } from './settings.ts'
import { webhookRoutes } from './webhooks.ts'

/** The whole contentManagement host. */
export function createCma(context: SandboxContext): Express {
  const doors = createDoors(context)
  const api = express.Router()
  api.use(express.json({ limit: '10mb' }))
  api.use(peopleRoutes(context, doors))
  api.use(managementTokenRoutes(doors))
  api.use(settingRoutes(doors))
  api.use(contentTypeRoutes(doors))
  api.use(entryRoutes(doors))
  api.use(assetRoutes(context, doors))
  api.use(bulkRoutes(doors))
  api.use(webhookRoutes(doors))
  api.use(() => {
    throw noSuchEndpoint()
  })

  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(faultMiddleware(context, 'contentManagement'))
  app.use('/v3', crossOrigin(context), api, refuse)
  return app
}

const exposed = 'X-RateLimit-Limit, X-RateLimit-Remaining, Retry-After'

function crossOrigin(context: SandboxContext): RequestHandler {
  return (request, response, next) => {
    const { origin } = request.headers
    response.vary('Origin')
    if (origin !== undefined && origin === context.urls.application) {
      response.setHeader('Access-Control-Allow-Origin', origin)
      response.setHeader('Access-Control-Expose-Headers', exposed)
      if (request.method === 'OPTIONS') {
        response.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE')
        response.setHeader('Access-Control-Allow-Headers', request.headers['access-control-request-headers'] ?? '')
        response.setHeader('Access-Control-Max-Age', '600')
      }
    }
    if (request.method === 'OPTIONS') {
      response.status(204).end()
      return
    }
    next()
  }
}

const refuse: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) {
    next(error)
    return
  }
  const refusal = asRefusal(error)
  response.status(refusal.status).json({ error_message: refusal.message, error_code: refusal.code, errors: refusal.errors })
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const status = (error as { status?: unknown }).status
  if (status === 413) return new Refusal(413, 413, 'The request body is too large.')
  if (status === 400) return invalidData('The request body is not valid JSON.', {})
  // A bug of the sandbox, not a play: it must be seen by whoever runs it.
  console.error('sandbox cma:', error)
  return new Refusal(500, 500, 'The sandbox itself failed; see its log.')
}
