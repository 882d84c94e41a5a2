// Puts the doors on one Express app. Owns the type `Services`: all that the doors ask of the rooms below, satisfied by app.ts.
// Every answer carries a request id; access lines carry the path without its query.
import { randomUUID } from 'node:crypto'
import express, { type Express } from 'express'
import type { Log } from '../log.ts'
import { type ConsoleServices, consoleRoutes } from './console/console.ts'
import { loginRoutes } from './console/login.ts'
import { answerErrors, pathOf, requestIdOf, unknownRoute } from './errors.ts'
import { type ExtensionServices, extensionRoutes } from './extension/extension.ts'
import { type GatewayServices, gatewayRoutes } from './gateway/gateway.ts'
import { type OperatorServices, operatorRoutes } from './operator/operator.ts'
import { healthRoutes } from './public/health.ts'
import { type OAuthServices, oauthRoutes } from './public/oauth.ts'
import { pageStyle } from './public/page.ts'
import { type PushedServices, pushedRoutes } from './public/pushed.ts'
import { securityHeaders, uiRoutes } from './public/ui.ts'
import { type WebhookServices, webhookRoutes } from './public/webhooks.ts'

export interface Services
  extends ConsoleServices,
    ExtensionServices,
    GatewayServices,
    OAuthServices,
    OperatorServices,
    PushedServices,
    WebhookServices {
  log: Log
  /** Whose X-Forwarded-For is believed: what is limited per address must be limited per person, not per proxy. */
  trustedProxies: string[]
  /** Origins that may frame the extension's pages. */
  applicationOrigins: string[]
}

export function createServer(services: Services): Express {
  const { log, https, applicationOrigins, trustedProxies } = services
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', 'simple')
  app.set('trust proxy', trustedProxies)
  app.use((request, response, next) => {
    const requestId = randomUUID()
    response.locals.requestId = requestId
    response.setHeader('x-request-id', requestId)
    response.setHeader('x-content-type-options', 'nosniff')
    const startedAt = performance.now()
    response.once('finish', () => {
      log.debug(
        {
          requestId: requestIdOf(response),
          method: request.method,
          path: pathOf(request),
          status: response.statusCode,
          ms: Math.round(performance.now() - startedAt)
        },
        'answered'
      )
    })
    next()
  })

  app.use(healthRoutes(services))
  app.use(webhookRoutes(services))
  app.use(pushedRoutes(services))
  app.use('/gateway', gatewayRoutes(services))

  app.use(securityHeaders([], https))
  app.get('/page.css', (_request, response) => void response.type('css').send(pageStyle))
  app.use(oauthRoutes(services))
  app.use(loginRoutes(services))
  app.use('/api/extension', noStore, extensionRoutes(services))
  app.use('/api/console', noStore, consoleRoutes(services))
  app.use('/api/operator', noStore, operatorRoutes(services))
  app.use(uiRoutes({ applicationOrigins, https }))

  app.use(unknownRoute)
  app.use(answerErrors(log))
  return app
}

const noStore: express.RequestHandler = (_request, response, next) => {
  response.setHeader('cache-control', 'no-store')
  next()
}
