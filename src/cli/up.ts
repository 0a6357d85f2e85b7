export function addUpCommand(_program: unknown): void {}
