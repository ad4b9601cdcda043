DROP TABLE reservations;
DROP TABLE work_records;
DROP TABLE products;
