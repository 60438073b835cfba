//! Collects a [`Summary`].

use std::collections::BTreeMap;

use refit_machine::Firmware;

use super::{
    AttachedSummary, CollectionSummary, ConfigurationSummary, DiskSummary, FileSummary,
    NetworkSummary, ProductSummary, PropertySummary, Size, Summary, SystemSummary,
};
use crate::archive::{Member, Package, image};
use crate::descriptor::{
    Capacity, Collection, Compression, Content, DeploymentConfiguration, Disk, Envelope, File,
    ProductSection, Startup, System,
};

/// Looks at everything in a package without unpacking it: the descriptor, and of each disk its header.
#[must_use]
pub fn inspect(
    package: &Package,
    envelope: &Envelope,
    configuration: Option<&DeploymentConfiguration>,
) -> Summary {
    let configuration = configuration.map(|one| one.id.as_str());
    let mut tree = Tree {
        envelope,
        configuration,
        systems: Vec::new(),
        collections: Vec::new(),
    };
    if let Some(content) = &envelope.content {
        tree.walk(content, None);
    }
    let (systems, collections) = (tree.systems, tree.collections);
    let mut transports: Vec<String> = Vec::new();
    for transport in systems.iter().flat_map(|system| &system.transports) {
        if !transports.contains(transport) {
            transports.push(transport.clone());
        }
    }
    let of_collections = collections.iter().flat_map(|one| &one.properties);
    let of_systems = systems.iter().flat_map(|one| &one.properties);
    Summary {
        schema: "refit/ova-inspect/v1",
        descriptor: package.descriptor().name.clone(),
        version: envelope.version,
        configuration: configuration.map(str::to_owned),
        properties: of_collections.chain(of_systems).cloned().collect(),
        disks: envelope
            .disks
            .iter()
            .map(|disk| self::disk(package, envelope, disk))
            .collect(),
        files: envelope
            .files
            .iter()
            .map(|file| self::file(package, file))
            .collect(),
        networks: envelope
            .networks
            .iter()
            .map(|network| NetworkSummary {
                name: network.name.clone(),
                description: network.description.clone(),
            })
            .collect(),
        configurations: configurations(envelope),
        transports,
        eulas: envelope.eulas.clone(),
        annotation: envelope.annotation.clone(),
        locales: envelope.locales.clone(),
        manifest: package.manifest().map(|member| member.name.clone()),
        certificate: package.certificate().map(|member| member.name.clone()),
        unknown_sections: envelope.unknown_sections.clone(),
        problems: envelope.problems.clone(),
        notes: package.notes().to_vec(),
        systems,
        collections,
    }
}

struct Tree<'e> {
    envelope: &'e Envelope,
    configuration: Option<&'e str>,
    systems: Vec<SystemSummary>,
    collections: Vec<CollectionSummary>,
}

impl Tree<'_> {
    fn walk(&mut self, content: &Content, parent: Option<&Collection>) {
        match content {
            Content::System(system) => {
                let summary = self.system(system, parent);
                self.systems.push(summary);
            }
            Content::Collection(collection) => {
                self.collections.push(CollectionSummary {
                    id: collection.id.clone(),
                    name: collection.name.clone(),
                    info: collection.info.clone(),
                    collection: parent.map(|parent| parent.id.clone()),
                    members: collection
                        .members
                        .iter()
                        .map(|member| member.id().to_owned())
                        .collect(),
                    products: products(&collection.products),
                    properties: self.properties(&collection.id, &collection.products),
                    startup: collection.startup.clone(),
                    eulas: collection.eulas.clone(),
                    annotation: collection.annotation.clone(),
                });
                for member in &collection.members {
                    self.walk(member, Some(collection));
                }
            }
        }
    }

    fn system(&self, system: &System, parent: Option<&Collection>) -> SystemSummary {
        let hardware = self
            .envelope
            .hardware(system, self.configuration, &|_| None);
        let machine = hardware.machine;
        let startup = |parent: &Collection| -> Option<Startup> {
            parent
                .startup
                .iter()
                .find(|item| item.id == system.id)
                .cloned()
        };
        SystemSummary {
            id: system.id.clone(),
            name: machine.name,
            info: system.info.clone(),
            collection: parent.map(|parent| parent.id.clone()),
            products: products(&system.products),
            operating_system: system.operating_system.clone(),
            cpus: machine.vcpus,
            cores_per_socket: machine.cores_per_socket,
            memory: machine.memory,
            firmware: machine.firmware,
            secure_boot: machine.firmware == Firmware::UefiSecure,
            tpm: machine.tpm,
            platforms: system
                .hardware
                .iter()
                .flat_map(|section| section.system_types.iter().cloned())
                .collect(),
            disks: hardware
                .disks
                .iter()
                .zip(machine.disks)
                .map(|(attached, disk)| AttachedSummary {
                    id: attached.disk.clone(),
                    bus: disk.bus,
                    capacity: disk.capacity,
                    href: Some(disk.path).filter(|path| !path.is_empty()),
                })
                .collect(),
            nics: machine.nics,
            media: hardware.media,
            transports: hardware.transports,
            properties: self.properties(&system.id, &system.products),
            extra_config: system
                .hardware
                .iter()
                .flat_map(|section| &section.extra_config)
                .map(|setting| (setting.key.clone(), setting.value.clone()))
                .collect(),
            eulas: system.eulas.clone(),
            annotation: system.annotation.clone(),
            install: system.install,
            startup: parent.and_then(startup),
            environment_files: system.environment_files.clone(),
            ip_assignment: system
                .ip_assignment
                .clone()
                .or_else(|| parent.and_then(|parent| parent.ip_assignment.clone())),
            lost: hardware.lost,
            unknown_sections: system.unknown_sections.clone(),
        }
    }

    fn properties(&self, owner: &str, products: &[ProductSection]) -> Vec<PropertySummary> {
        products
            .iter()
            .flat_map(|product| &product.properties)
            .map(|property| PropertySummary {
                owner: owner.to_owned(),
                key: property.key.clone(),
                class: property.class.clone(),
                instance: property.instance.clone(),
                qualified: property.qualified(),
                r#type: property.type_name.clone(),
                user_configurable: property.user_configurable,
                password: property.password,
                default: property
                    .default_value(self.configuration)
                    .map(str::to_owned),
                defaults: property
                    .values
                    .iter()
                    .filter_map(|one| Some((one.configuration.clone()?, one.value.clone())))
                    .collect::<BTreeMap<_, _>>(),
                configurations: property.configurations.clone(),
                qualifiers: property.qualifiers.clone(),
                vendor_qualifiers: property.vendor_qualifiers.clone(),
                label: property.label.clone(),
                description: property.description.clone(),
                category: property.category.clone(),
            })
            .collect()
    }
}

fn products(sections: &[ProductSection]) -> Vec<ProductSummary> {
    sections
        .iter()
        .map(|section| ProductSummary {
            class: section.class.clone(),
            instance: section.instance.clone(),
            product: section.product.clone(),
            vendor: section.vendor.clone(),
            version: section.version.clone(),
            full_version: section.full_version.clone(),
            product_url: section.product_url.clone(),
            vendor_url: section.vendor_url.clone(),
            app_url: section.app_url.clone(),
        })
        .collect()
}

fn file(package: &Package, file: &File) -> FileSummary {
    let pieces = package.pieces(file);
    let size = |pieces: &Vec<Member>| pieces.iter().map(|piece| piece.size).sum();
    FileSummary {
        id: file.id.clone(),
        href: file.href.clone(),
        size: file.size,
        stored_size: pieces.as_ref().ok().map(size),
        pieces: pieces.as_ref().map_or(0, Vec::len),
        compression: match &file.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip".to_owned()),
            Compression::Other(word) => Some(word.clone()),
        },
        error: pieces.err().map(|error| error.to_string()),
    }
}

fn disk(package: &Package, envelope: &Envelope, disk: &Disk) -> DiskSummary {
    let pieces = disk
        .file
        .as_deref()
        .and_then(|id| envelope.file(id))
        .and_then(|file| package.pieces(file).ok());
    let header = pieces
        .as_ref()
        .and_then(|pieces| image::header(pieces.first()?).ok());
    let (capacity, capacity_property) = match &disk.capacity {
        Capacity::Bytes(bytes) => (Some(*bytes), None),
        Capacity::Property { key, .. } => (None, Some(key.clone())),
        Capacity::Unknown => (None, None),
    };
    DiskSummary {
        id: disk.id.clone(),
        capacity,
        capacity_property,
        file: disk.file.clone(),
        stored_size: pieces.map(|pieces| pieces.iter().map(|piece| piece.size).sum()),
        virtual_size: header.and_then(|header| header.virtual_size),
        format: header.map(|header| header.format),
        declared_format: disk.format.clone(),
        populated_size: disk.populated_size,
        parent: disk.parent.clone(),
    }
}

fn configurations(envelope: &Envelope) -> Vec<ConfigurationSummary> {
    let default = envelope.default_configuration().map(|one| one.id.as_str());
    envelope
        .configurations
        .iter()
        .map(|configuration| ConfigurationSummary {
            id: configuration.id.clone(),
            label: configuration.label.clone(),
            description: configuration.description.clone(),
            default: Some(configuration.id.as_str()) == default,
            sizes: envelope
                .systems()
                .into_iter()
                .map(|system| {
                    let hardware = envelope.hardware(system, Some(&configuration.id), &|_| None);
                    Size {
                        system: system.id.clone(),
                        cpus: hardware.machine.vcpus,
                        memory: hardware.machine.memory,
                        disks: hardware.machine.disks.len(),
                        nics: hardware.machine.nics.len(),
                    }
                })
                .collect(),
        })
        .collect()
}
