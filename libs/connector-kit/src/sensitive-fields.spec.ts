import { describe, expect, it } from '@jest/globals';
import { isSensitiveName, isSensitiveText } from './sensitive-fields.js';

describe('isSensitiveName', () => {
  it.each([
    'ssn',
    'SSN',
    'employee_ssn',
    'socialSecurityNumber',
    'social-security',
    'Tax ID',
    'taxId',
    'passport_number',
    'nationalId',
    'date_of_birth',
    'dateOfBirth',
    'DOB',
    'birthDate',
    'birthday',
    'salary',
    'baseSalary',
    'annual_compensation',
    'pay_rate',
    'payRate2',
    'hourlyWage',
    'IBAN',
    'bankAccount',
    'credit_card',
    'home_address',
    'homeAddress',
    'private address',
    'personal_email',
    'personalPhone',
    'home_phone',
    'gender',
    'ethnicity',
    'religion',
    'health_insurance',
    'disability',
    'password',
    'clientSecret',
    'access_token',
    'api_key',
    'emergencyContact',
    'maritalStatus',
  ])('takes %s for sensitive', (name) => {
    expect(isSensitiveName(name)).toBe(true);
  });

  it.each([
    'id',
    'name',
    'work_email',
    'email',
    'office_phone',
    'work_address',
    'city',
    'department_id',
    'start_date',
    'status',
    'title',
    'assignee',
    'sexton',
    'paying_customer',
    'embankment',
    'notes',
    'racecar',
    'tokenizer',
    'sessions',
    'dobby',
    '',
    'опыт',
  ])('takes %s for harmless', (name) => {
    expect(isSensitiveName(name)).toBe(false);
  });
});

describe('isSensitiveText', () => {
  it.each([
    ['123-45-6789', true],
    ['DE89 3704 0044 0532 0130 00', true],
    ['DE89370400440532013001', false],
    ['4111 1111 1111 1111', true],
    ['4111111111111112', false],
    ['-----BEGIN PRIVATE KEY-----', true],
    ['2026-01-01', false],
    ['user@acme.example', false],
    ['', false],
  ])('%s: %s', (text, sensitive) => {
    expect(isSensitiveText(text)).toBe(sensitive);
  });
});
