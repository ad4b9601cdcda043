DROP TABLE skald_inventory.reservations;
DROP TABLE skald_inventory.work_records;
DROP TABLE skald_inventory.products;
DROP TABLE skald_inventory.compatibility;
