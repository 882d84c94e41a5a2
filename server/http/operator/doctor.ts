// The operator door's routes of the doctor: what this process knows of itself, and who it is. The second says nothing more, since it is
// asked through the public address, which may lead anywhere.
import { Router } from 'express'
import type { Instance, ServerReport } from '../contract/doctor.ts'

export interface DoctorServices {
  /** Within six seconds, whatever hangs. */
  doctor(): Promise<ServerReport>
  instance(): Promise<Instance>
}

/** Mounted behind the door's guard. */
export function doctorRoutes({ doctor, instance }: DoctorServices): Router {
  const router = Router()
  router.get('/doctor', async (_request, response) => void response.json(await doctor()))
  router.get('/instance', async (_request, response) => void response.json(await instance()))
  return router
}
